"""Run roadclear commands from another command, as if each had been typed."""

import shlex
from collections.abc import Sequence

import typer

from roadclear.cli.console import SOME_UNREADABLE, console
from roadclear.cli.remarks import is_quiet
from roadclear.utils.text import printable


def run_command(context: typer.Context, words: Sequence[str]) -> int:
    """Print a roadclear command, unless quiet, and run the command as if it had been typed.

    Returns:
        Exit code of the command: 0, or 3 if some inputs could not be used.

    Raises:
        SystemExit: the command failed.
        KeyboardInterrupt: the user stopped the command. (The application's own `main` would swallow the exception.)
    """
    if not is_quiet():
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
