"""Files, folders and patterns -> paths of photos."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from roadclear.data.archive import is_archive, unpack
from roadclear.images.decode import PHOTO_FORMATS

OUR_TABLES = frozenset(
    {
        "boxes.csv",
        "cleaning.csv",
        "CREDITS.md",
        "decisions.csv",
        "manifest.csv",
        "rejected.csv",
        "sources.csv",
        "split.csv",
        "splits.csv",
        "triage.csv",
    }
)
"""Files about photos, beside photos. They are no photos."""


def find_photos(inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Find files: a named file, all files under a folder, or the matches of a pattern.

    The files of a ZIP archive are found, too: see `roadclear.data.archive`. `OUR_TABLES` are left out, unless one is
    named. A name without a file and without a match is yielded unchanged, so that reading the path gives the reason.
    """
    for item in inputs:
        path = Path(item)
        if os.path.isdir(path):  # noqa: PTH112, a name that is too long is no folder, and no error
            yield from (file for file in walk(path) if file.name not in OUR_TABLES)
        elif is_archive(path):
            yield from (file for file in walk(unpack(path)) if file.name not in OUR_TABLES)
        elif os.path.lexists(path):
            yield path
        else:
            matches = sorted(_matches(item))
            photos = (match for match in matches if Path(match).name not in OUR_TABLES)
            yield from find_photos(photos) if matches else [path]


def walk(folder: Path) -> Iterator[Path]:
    """List all files under a folder in a fixed order. Hidden files are left out; links to folders are not followed.

    A folder named like a photo ("x.jpg"), or a folder that cannot be listed, is yielded itself and so reported. Without
    permission a folder cannot be listed, nor can one that lies so deep that its path is too long for the system.
    """
    waiting = [(folder, True)]  # a stack, not a recursion: folders may lie deeper than calls
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name, reverse=True)
        except OSError:
            yield path
            continue
        waiting += [
            (path / entry.name, entry.is_dir(follow_symlinks=False) and not named_like_a_photo(entry.name))
            for entry in entries
            if not entry.name.startswith(".")
        ]


def named_like_a_photo(name: str) -> bool:
    """Whether a file name has the extension of a photo format."""
    return any(name.lower().endswith(extensions) for extensions in PHOTO_FORMATS.values())


def _matches(pattern: str | os.PathLike[str]) -> list[str]:
    """Find the matches of a pattern as a shell would. A pattern that the system cannot look for has none."""
    try:
        return glob.glob(os.fspath(pattern), recursive=True)  # noqa: PTH207, as a shell would
    except (OSError, RecursionError):
        return []
