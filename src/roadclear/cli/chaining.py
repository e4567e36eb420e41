"""A command that runs others of ours, as if each had been typed."""

import shlex
from collections.abc import Sequence

import typer

from roadclear.cli.console import SOME_UNREADABLE, console
from roadclear.utils.text import printable


def run_command(context: typer.Context, words: Sequence[str]) -> int:
    """Show a command of ours, and run it as if it had been typed.

    Returns:
        Its exit code: 0, or 3 where it is done without some of its inputs.

    Raises:
        SystemExit: it failed.
        KeyboardInterrupt: it was stopped. (The application's own `main` would swallow that.)
    """
    console().print(f"\n$ roadclear {printable(shlex.join(words))}", style="bold")
    application = context.find_root().command
    try:
        with application.make_context("roadclear", list(words)) as made:
            application.invoke(made)
    except SystemExit as end:
        if end.code not in (None, 0, SOME_UNREADABLE):
            raise
        return SOME_UNREADABLE if end.code == SOME_UNREADABLE else 0
    return 0
