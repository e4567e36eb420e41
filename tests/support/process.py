"""The command line as a process of its own, as users start it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START = (sys.executable, "-c", "from roadclear.cli.app import main; main()")
"""What the installed `roadclear` script does, in the interpreter that runs the tests."""

QUICK = ("--no-report", "--size", "96", "--views", "1", "--epochs", "5", "--positive", "crossing")
"""Options for a training that takes no time."""

Argument = str | bytes | Path


@dataclass(frozen=True)
class Ended:
    """How a process ended; negative codes are signals."""

    code: int
    out: bytes
    err: str

    def error(self) -> str:
        """The only line on stderr, which is no traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in lines[0]
        return lines[0]


def roadclear(*arguments: Argument, **settings: object) -> Ended:
    """Run `roadclear` with arguments to its end; see `run` for the settings."""
    return run([*START, *arguments], **settings)  # type: ignore[arg-type]


def run(
    command: Sequence[Argument],
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    before: Callable[[], None] | None = None,
    wait: float = 120,
) -> Ended:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        cwd: folder to run it in.
        env: changes to the environment; None takes a variable out.
        before: called in the new process before the command takes it over.
        wait: seconds after which it is too late.
    """
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment(env or {}),
        capture_output=True,
        timeout=wait,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr.decode(errors="surrogateescape"))


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment, with changes, and without what would make output depend on the terminal."""
    values: dict[str, str | None] = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **changes}
    return {name: value for name, value in values.items() if value is not None}
