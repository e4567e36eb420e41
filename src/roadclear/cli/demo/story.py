"""A demonstration, told: what a step does and why, the commands that it runs, and how long it took."""

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
    """What the steps of a demonstration share.

    Attributes:
        context: of the command that tells.
        out: folder that everything is written to.
        seed: of everything that is drawn.
        positive: the label whose probability the model gives.
        seconds: by the step's title.
        left: by the step's title, what it leaves in the folder.
    """

    context: typer.Context
    out: Path
    seed: int
    positive: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str, left: str, *sentences: str) -> Iterator[None]:
        """Say what comes and why, and take the time of it."""
        self.left[title] = left
        console().print(f"\n{len(self.left)}  {title}", style="bold cyan")
        self.say(*sentences)
        start = time.perf_counter()
        yield
        self.seconds[title] = round(time.perf_counter() - start, 1)

    @staticmethod
    def say(*sentences: str) -> None:
        """Print a paragraph, broken between words."""
        console().print(" ".join(filter(None, sentences)), soft_wrap=False)

    def at(self, name: str) -> Path:
        """A place in the folder."""
        return self.out / name

    def named(self, name: str) -> str:
        """A place in the folder, to be read by a person."""
        return printable(self.out / name)

    def run(self, command: str, *words: str | Path) -> None:
        """Run a command of ours, shown as it would be typed."""
        run_command(self.context, [command, *map(str, words)])
