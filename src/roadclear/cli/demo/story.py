"""The steps of a demonstration: what each step does and why, the commands it runs, and the time it takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from roadclear.cli.chaining import run_command
from roadclear.cli.console import console
from roadclear.utils.text import printable


@dataclass
class Story:
    """State that the steps of a demonstration share.

    Attributes:
        context: context of the demo command.
        out: folder for all results.
        seed: random seed of the scenes, the faults and the training.
        positive: label of the positive class.
        seconds: title of a step -> its duration, in seconds.
        left: title of a step -> its results in the folder.
    """

    context: typer.Context
    out: Path
    seed: int
    positive: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str, left: str, *sentences: str) -> Iterator[None]:
        """Print what the step does and why, and measure its time."""
        self.left[title] = left
        console().print(f"\n{len(self.left)}  {title}", style="bold cyan")
        self.say(*sentences)
        start = time.perf_counter()
        yield
        self.seconds[title] = round(time.perf_counter() - start, 1)

    @staticmethod
    def say(*sentences: str) -> None:
        """Print a paragraph with line breaks between words."""
        console().print(" ".join(filter(None, sentences)), soft_wrap=False)

    def at(self, name: str) -> Path:
        """Path of a result in the folder."""
        return self.out / name

    def named(self, name: str) -> str:
        """Printable path of a result in the folder."""
        return printable(self.out / name)

    def run(self, command: str, *words: str | Path) -> None:
        """Print a roadclear command as a user would type it, and run the command."""
        run_command(self.context, [command, *map(str, words)])
