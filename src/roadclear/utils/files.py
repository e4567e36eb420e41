"""Files and folders that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roadclear.errors import OutputError

CHOOSE_ANOTHER = "choose another place with --out"
"""Advice of most errors about files that cannot be written."""


def write_file(path: str | os.PathLike[str], data: bytes, advice: str = CHOOSE_ANOTHER) -> None:
    """Write a file through a temporary one beside it: whatever happens, the old or the new file is there.

    Args:
        path: file to write. Its folder is made where it is missing.
        data: content of the file.
        advice: what the error message tells the user to do.

    Raises:
        OutputError: the file cannot be written. What was there before is unharmed.
    """
    path = Path(path)
    with as_output_error(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _write_through(file, data)
            Path(temporary).chmod(_usual_mode(0o666))
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_folder(path: str | os.PathLike[str], files: dict[str, bytes], overwrite: bool = False) -> None:
    """Write a folder of files through a temporary one beside it: a kill leaves no half-written folder.

    Args:
        path: folder to write.
        files: content of the files, by name.
        overwrite: whether to replace a folder that is there.

    Raises:
        OutputError: the folder exists and must not be replaced, or cannot be written.
    """
    path = Path(path)
    check_free(path, overwrite)
    with as_output_error(path), _staging_folder(path) as staging:
        for name, data in files.items():
            (staging / name).write_bytes(data)
        staging.chmod(_usual_mode(0o777))
        if path.exists():
            with _staging_folder(path) as old:
                path.replace(old / "replaced")
                staging.replace(path)
        else:
            staging.replace(path)


def check_free(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work is done, to write where something is or where nothing can be written.

    Args:
        path: file or folder that will be written.
        overwrite: whether a folder that is there will be replaced.

    Raises:
        OutputError: the path exists and must not be replaced, or cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path):
        if not overwrite:
            raise OutputError(f"{str(path)!r} is already there: choose another name, or add --overwrite")
        if not path.is_dir():
            raise OutputError(f"{str(path)!r} is already there and is no folder: choose another name")
    with as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def check_new_folder(folder: Path, photos: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse, before any work is done, to write where something is or among the photos.

    Args:
        folder: folder that will be made.
        photos: photos and folders that will be read. Only the folders are checked.

    Raises:
        OutputError: the folder exists, lies in a folder of photos, or cannot be written.
    """
    if os.path.lexists(folder):
        raise OutputError(f"{str(folder)!r} is already there: choose another name")
    for place in map(Path, photos):
        if place.is_dir() and folder.resolve().is_relative_to(place.resolve()):
            raise OutputError(f"{str(folder)!r} would lie among the photos of {str(place)!r}: choose another place")
    check_free(folder, overwrite=False)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file in place. Content and name are on disk when this returns.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        _write_through(file, data)
    sync_folder(path.parent)


def append_synced(path: Path, data: bytes) -> None:
    """Append to a file. The content is on disk when this returns.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("ab") as file:
        _write_through(file, data)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk. Windows has no call for this.

    Raises:
        OSError: the folder cannot be synced.
    """
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def as_output_error(path: Path, advice: str = CHOOSE_ANOTHER) -> Iterator[None]:
    """Raise an OSError as an OutputError that names the path and says what to do.

    Args:
        path: file or folder that is written.
        advice: what the error message tells the user to do.

    Raises:
        OutputError: the path cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; {advice}") from error


def _write_through(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _staging_folder(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside the path, and remove the folder at the end if it is still there."""
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _usual_mode(mode: int) -> int:
    """Return the mode that a file or folder gets without a temporary one."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
