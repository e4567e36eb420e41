"""Files, folders and patterns -> paths of photos."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from roadclear.images.decode import PHOTO_FORMATS


def find_photos(inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Find files: a named file, all files under a folder, or the matches of a pattern.

    A name without a file and without a match is yielded unchanged, so that reading the path gives the reason.
    """
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            yield from walk(path)
        elif os.path.lexists(path):
            yield path
        else:
            matches = sorted(glob.glob(os.fspath(item), recursive=True))  # noqa: PTH207, as a shell would
            yield from find_photos(matches) if matches else [path]


def walk(folder: Path) -> Iterator[Path]:
    """List all files under a folder in a fixed order. Hidden files are left out; links to folders are not followed.

    A folder named like a photo ("x.jpg"), or a folder without permission to list, is yielded itself and so reported.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False) and not named_like_a_photo(entry.name):
            yield from walk(Path(entry.path))
        else:
            yield Path(entry.path)


def named_like_a_photo(name: str) -> bool:
    """Whether a file name has the extension of a photo format."""
    return any(name.lower().endswith(extensions) for extensions in PHOTO_FORMATS.values())
