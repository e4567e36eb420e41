"""Output that cannot be written: a full disk behind stdout, a closed pipe, a stream that is closed from the start."""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import IO, NoReturn

from roadclear.cli.console import FAILED
from roadclear.utils.text import printable


def ends_with_one_line(main: Callable[[], NoReturn]) -> Callable[[], NoReturn]:
    """Make a program end with one line on stderr where the system refuses to write or to read something.

    The line follows also where the last words wait in a buffer until the end. A reader that closes the pipe early, such
    as `head`, needs no line. With --debug there is a traceback.

    Args:
        main: program that ends by `sys.exit`.
    """

    @wraps(main)
    def guarded() -> NoReturn:
        _open_missing_streams()
        try:
            try:
                main()
            finally:
                sys.stdout.flush()
        except OSError as error:
            _report(error)
            _drop(sys.stdout)
            sys.exit(FAILED)

    return guarded


def _report(error: OSError) -> None:
    # A stream has no name, a file has one.
    what, advice = "cannot write the output", "free space, or write it to another place"
    if error.filename is not None:
        what, advice = f"cannot use {printable(str(error.filename))!r}", "check the name and the permissions"
    line = f"roadclear: {what}: {error.strerror}; {advice}"
    with suppress(OSError):
        if "--debug" in sys.argv[1:]:
            traceback.print_exception(error)
        elif error.errno != errno.EPIPE:
            print(line, file=sys.stderr)
        sys.stderr.flush()


def _open_missing_streams() -> None:
    """Replace a stream that is closed from the start (`>&-`), because writing into nothing would fail."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123, stays open


def _drop(stream: IO[str]) -> None:
    """Send what waits in the buffer nowhere. Otherwise Python tries to write again at its end, and complains."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
