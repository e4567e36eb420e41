"""The start of the command line: which command runs, and how errors end the program."""

import gc
import io
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from roadclear.cli.console import FAILED, INTERRUPTED, WRONG_USAGE
from roadclear.cli.streams import ends_with_one_line
from roadclear.errors import CacheWarning, OptionError, RoadclearError
from roadclear.utils.text import restore_slashes

_DEBUG = "--debug"
_OBJECTS_A_COLLECTION = 100_000
_CACHED = "What was computed from photos stays in the cache"
_AGAIN = "run the same command again"
KEPT = {
    "train": f"No run was written. {_CACHED}, and fine-tuning goes on after its last whole epoch: {_AGAIN}.",
    "validate": f"No table was written. {_CACHED}, and finished fine-tuned folds are kept: {_AGAIN}.",
    "predict": "Heatmaps and rows of --format csv or jsonl that were written are whole. A table is "
    "printed at the end only. To go on, name the photos that are left.",
    "evaluate": f"Nothing was written: {_AGAIN}.",
    "compare": f"Nothing was written: {_AGAIN}.",
    "show": f"Nothing was written: {_AGAIN}.",
    "split": f"No table was written. {_CACHED}: {_AGAIN}.",
    "clean": f"Photos that were moved are named in cleaning.csv: {_AGAIN}. To take the moves back, run roadclear clean "
    "PHOTOS --restore.",
    "triage": f"{_CACHED}. Moves of --apply are whole, or the next command takes them back or goes on: {_AGAIN}.",
    "run": f"Every finished step is kept: {_AGAIN}.",
    "watch": f"The tables and the page of what was watched are written: {_AGAIN} with another --out.",
    "export": f"Nothing was written: {_AGAIN}.",
    "extract": f"Files that were written are whole: {_AGAIN}.",
    "serve": f"Requests in flight were answered: {_AGAIN}.",
    "studio": f"Moves are whole, and none is lost: {_AGAIN}.",
    "scenes": f"The folder is incomplete. Delete it, and {_AGAIN}.",
}
"""Command -> what an interruption leaves, and how to go on. The other commands say so themselves."""


@ends_with_one_line
def main() -> NoReturn:
    """Run the command line and exit."""
    if "--version" in sys.argv[1:2]:
        _print_version()
    # Imports make objects that live to the end. To look among them for garbage takes a tenth of a second.
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    warnings.showwarning = _print_warning
    _print_what_the_terminal_cannot_show_as_escapes()
    try:
        _run(sys.argv[1:])
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _print_what_is_kept(sys.argv[1:])
        raise
    except RoadclearError as error:
        if _DEBUG in sys.argv[1:]:
            traceback.print_exc()
        else:
            print(f"roadclear: {restore_slashes(str(error))}", file=sys.stderr)
        sys.exit(WRONG_USAGE if isinstance(error, OptionError) else FAILED)
    finally:
        gc.freeze()  # the end of the process needs no search for garbage either
    sys.exit(0)


def _run(words: list[str]) -> None:
    """Run a command. `predict` without options needs no parser of options, which takes a while to import."""
    if _names_photos_only(words):
        from roadclear.cli.predictions import Choices, predict_photos

        try:
            predict_photos(words[1:], Choices())
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    import typer

    from roadclear.cli.commands import app

    program = typer.main.get_command(app)
    # The list of commands and wrong options are printed plainly: boxes would take longer to load than to read.
    program.rich_markup_mode = None  # type: ignore[attr-defined]
    program()


def _names_photos_only(words: Sequence[str]) -> bool:
    """Whether the words are `predict` and at least one model or photo, without any option."""
    return words[:1] == ["predict"] and len(words) > 1 and not any(word.startswith("-") for word in words)


def _print_what_the_terminal_cannot_show_as_escapes() -> None:
    """Let no label or file name end a command where the terminal knows ASCII only."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")


def _print_what_is_kept(words: Sequence[str]) -> None:
    """Say after Ctrl-C what is kept, and how to go on."""
    command = next((word for word in words if not word.startswith("-")), "")
    if command in KEPT:
        print(f"\nroadclear: stopped. {KEPT[command]}", file=sys.stderr)


def _print_version() -> NoReturn:
    from importlib.metadata import version

    print(f"roadclear {version('roadclear')}")
    sys.exit(0)


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Print a warning on stderr: a warning of ours as one line, any other as Python does."""
    ours = issubclass(category, CacheWarning)
    text = (
        f"roadclear: warning: {message}\n"
        if ours
        else warnings.formatwarning(message, category, filename, lineno, line)
    )
    print(text, end="", file=file or sys.stderr)
