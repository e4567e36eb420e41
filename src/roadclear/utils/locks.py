"""One process at a time on a folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from roadclear.errors import OutputError

LOCK = ".roadclear.lock"
"""Name of the lock file in the folder."""


_AT_WORK = "another roadclear command is at work in {}: wait until it is done"


@contextmanager
def folder_lock(folder: Path, name: str = LOCK, refusal: str = _AT_WORK, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder. The operating system releases the lock when the process dies.

    The lock file is removed at the end. A lock file that a killed process left behind locks nobody out.

    Args:
        folder: folder to lock.
        name: name of the lock file. Locks of different names do not exclude each other.
        refusal: message of the error where another process holds the lock, with {} for the folder.
        wait: whether to wait until another process releases the lock, in the place of an error.

    Raises:
        OutputError: another process holds the lock, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    # The fallback for file systems without locks would outlive a killed process.
    lock = FileLock(folder / name, timeout=-1 if wait else 0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(refusal.format(repr(str(folder)))) from error
    except OSError as error:
        raise OutputError(
            f"cannot write in {str(folder)!r}: {error.strerror}; nothing was moved: make the folder writable"
        ) from error
    try:
        yield
    finally:
        # A file that stays would shut out other users of a shared folder, who may not open it. Removing it is safe
        # while the lock is held: filelock takes no lock on a file that has lost its name. Windows keeps open files.
        with suppress(OSError):
            (folder / name).unlink()
        lock.release()
