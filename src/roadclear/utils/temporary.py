"""Temporary folders that last as long as the program, and the names by which users know the files in them."""

import atexit
import shutil
import tempfile
from pathlib import Path

_origins: dict[Path, str] = {}


def temporary_folder() -> Path:
    """Make a folder that only this user can read, and remove the folder when the program ends.

    Raises:
        OSError: the folder cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix="roadclear-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def set_origin(path: Path, name: str) -> None:
    """Remember where a temporary file, or all files of a temporary folder, came from.

    Args:
        path: file or folder.
        name: path or address by which the user knows the file or folder.
    """
    _origins[path] = name


def origin_of(path: Path) -> str:
    """Name a file as the user knows it: the path itself, or the origin of a temporary file."""
    if not _origins:
        return str(path)
    for place in (path, *path.parents):
        if place in _origins:
            return "/".join((_origins[place], *path.relative_to(place).parts))
    return str(path)
