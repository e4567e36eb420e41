"""One process at a time on a folder, by a lock that dies with its process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadclear.errors import OutputError

LOCK = ".roadclear.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder: a file in it, which is gone in the end. One that a kill left is no hindrance.

    Raises:
        OutputError: another process holds it, or nothing can be written in the folder.
    """
    path = folder / LOCK
    try:
        descriptor = _acquire(path)
    except OSError as error:
        raise OutputError(
            f"cannot write in {str(folder)!r}: {error.strerror}; nothing was moved: make the folder writable"
        ) from error
    if descriptor is None:
        raise OutputError(f"another roadclear command is at work in {str(folder)!r}: wait until it is done")
    try:
        yield
    finally:
        _release(path, descriptor)


if sys.platform == "win32":
    import msvcrt

    def _acquire(path: Path) -> int | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _release(path: Path, descriptor: int) -> None:
        os.close(descriptor)
        path.unlink(missing_ok=True)

else:
    import fcntl

    def _acquire(path: Path) -> int | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError:
                os.close(descriptor)
                raise
            if _is_in_place(path, descriptor):
                return descriptor
            os.close(descriptor)  # its last holder removed the file between our two steps

    def _is_in_place(path: Path, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), path.lstat())
        except FileNotFoundError:
            return False

    def _release(path: Path, descriptor: int) -> None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
