"""Files and folders that appear whole or not at all."""

import glob
import itertools
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roadclear.errors import OutputError
from roadclear.utils.renames import exchange, rename_new

CHOOSE_ANOTHER = "choose another place"
"""Advice of most errors about files that cannot be written."""

_OR_OVERWRITE = "choose another name, or add --overwrite"

# End of the names of temporary files. No user's file has such a name by chance, so leftovers may be removed.
_TEMPORARY = ".roadclear"


def write_file(
    path: str | os.PathLike[str], data: bytes | mmap.mmap, advice: str = CHOOSE_ANOTHER, overwrite: bool = True
) -> None:
    """Write a file through a temporary one beside it: whatever happens, the old or the new file is there.

    Args:
        path: file to write. Its folder is made where it is missing.
        data: content of the file, or a view of another file.
        advice: what the error message tells the user to do.
        overwrite: whether a file that is there is replaced. A place that a user names must be free without the
            user's consent; files of our own are replaced.

    Raises:
        OutputError: the file cannot be written, or is there and must not be replaced. What was there before is
            unharmed.
    """
    path = Path(path)
    with as_output_error(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(_TEMPORARY, f".{path.name[:40]}.", path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _write_through(file, data)
            Path(temporary).chmod(_usual_mode(0o666))
            if overwrite:
                Path(temporary).replace(path)
            else:
                rename_new(temporary, path)
        except FileExistsError as error:
            Path(temporary).unlink(missing_ok=True)
            raise _taken(path, _OR_OVERWRITE) from error
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def remove_half_written(path: Path) -> None:
    """Remove the temporary files that kills left of `write_file`. Other files of similar names are left alone.

    Args:
        path: file that was to be written. No other process writes the file now.

    Raises:
        OSError: a temporary file cannot be removed.
    """
    for temporary in path.parent.glob(f".{glob.escape(path.name[:40])}.????????{_TEMPORARY}"):
        temporary.unlink(missing_ok=True)


def check_free_file(path: str | os.PathLike[str], overwrite: bool, advice: str = _OR_OVERWRITE) -> None:
    """Refuse, before any work is done, to write a file where something is or where nothing can be written.

    Args:
        path: file that will be written.
        overwrite: whether a file that is there will be replaced.
        advice: what the error message tells the user to do about a file that is there.

    Raises:
        OutputError: the path exists and must not be replaced, is no file, or cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path):
        if path.exists() and not path.is_file():
            raise OutputError(f"{str(path)!r} is already there and is no file: choose another name")
        if not overwrite:
            raise _taken(path, advice)
    _check_parent(path)


def write_folder(path: str | os.PathLike[str], files: dict[str, bytes], overwrite: bool = False) -> None:
    """Write a folder of files through a temporary one beside it: a kill leaves no half-written folder.

    Where the system can swap two names (Linux), the old or the new folder is there at every moment. Elsewhere a kill at
    the wrong moment leaves the old folder beside the path, under its name with ".replaced" at the end.

    Args:
        path: folder to write.
        files: content of the files, by name. A name may contain folders: "1/model.onnx".
        overwrite: whether to replace a folder that is there.

    Raises:
        OutputError: the folder exists and must not be replaced, or cannot be written.
    """
    path = Path(path)
    check_free(path, overwrite)
    with as_output_error(path), _staging_folder(path) as staging:
        for name, data in files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            with (staging / name).open("wb") as file:
                _write_through(file, data)
        for folder in {(staging / name).parent for name in files} - {staging}:
            sync_folder(folder)
        staging.chmod(_usual_mode(0o777))
        sync_folder(staging)
        try:
            rename_new(staging, path)
        except FileExistsError as error:
            if not overwrite:
                raise _taken(path, _OR_OVERWRITE) from error
            _replace_folder(staging, path)
        sync_folder(path.parent)


def check_free(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work is done, to write where something is or where nothing can be written.

    Args:
        path: folder that will be written.
        overwrite: whether a folder that is there will be replaced.

    Raises:
        OutputError: the path exists and must not be replaced, or cannot be written.
    """
    path = Path(path)
    if os.path.lexists(path):
        if not overwrite:
            raise _taken(path, _OR_OVERWRITE)
        if not path.is_dir():
            raise OutputError(f"{str(path)!r} is already there and is no folder: choose another name")
    _check_parent(path)


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
        if os.path.isdir(place) and lies_in(folder, place):  # noqa: PTH112, any name may be given
            raise OutputError(f"{str(folder)!r} would lie among the photos of {str(place)!r}: choose another place")
    check_free(folder, overwrite=False)


def lies_in(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder or lies in the folder, after links. A link to itself is taken for what it is."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


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


def _taken(path: Path, advice: str) -> OutputError:
    return OutputError(f"{str(path)!r} is already there: {advice}")


def _check_parent(path: Path) -> None:
    """Make the parent folder, and refuse a parent folder that cannot be written."""
    with as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def _write_through(file: BinaryIO, data: bytes | mmap.mmap) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _staging_folder(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside the path. At the end, remove what has its name then, if anything has."""
    staging = Path(tempfile.mkdtemp(_TEMPORARY, f".{path.name[:40]}.", path.parent))
    try:
        yield staging
    finally:
        _remove(staging)


def _replace_folder(staging: Path, path: Path) -> None:
    """Put a folder in the place of another one. Under the first name is then the other one, or nothing."""
    if exchange(staging, path):
        return
    old = next(name for name in _names_for_old(path) if not os.path.lexists(name))
    try:
        path.rename(old)
        staging.rename(path)
    except BaseException:
        # Ctrl-C may come between the two steps, too.
        if not os.path.lexists(path):
            old.rename(path)
        raise
    _remove(old)


def _names_for_old(path: Path) -> Iterator[Path]:
    for number in itertools.count(1):
        yield path.with_name(f"{path.name}.replaced" + (f"-{number}" if number > 1 else ""))


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to a folder and not the folder that the link leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _usual_mode(mode: int) -> int:
    """Return the mode that a file or folder gets without a temporary one."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
