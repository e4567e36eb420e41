"""New photos for a folder: names that files may have, and contents that the folder has already."""

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from roadclear.collect.collector import CollectRequest
from roadclear.curation.journal import QUARANTINE, Move
from roadclear.errors import OptionError

_LONGEST_NAME, _LONGEST_SUFFIX = 120, 10
"""Longest name of an added file before the suffix, in bytes, and longest suffix. Most file systems take 255 bytes."""


class Contents:
    """Contents of the files of a folder, to tell which new files the folder has already.

    Args:
        path_of: function that returns the place of a file on disk.
    """

    def __init__(self, path_of: Callable[[str], Path]) -> None:
        self._path_of = path_of
        self._by_size: dict[int, list[str]] = {}

    def remember(self, files: Iterable[str]) -> None:
        """Take files into account. Their bytes are read only where a new file has the same size."""
        for file in files:
            try:
                self._by_size.setdefault(self._path_of(file).stat().st_size, []).append(file)
            except OSError:
                continue  # the file has gone a moment ago

    def has(self, data: bytes, journal: Collection[Move]) -> bool:
        """Whether a file has this content, wherever a move in the journal has brought the file.

        Files in the quarantine do not count: the person may want a photo back.
        """
        moved = {move.origin: move.place for move in journal}
        for file in self._by_size.get(len(data), ()):
            place = moved.get(file, file)
            try:
                if not place.startswith(f"{QUARANTINE}/") and self._path_of(place).read_bytes() == data:
                    return True
            except OSError:
                continue
        return False


def check_labels(labels: tuple[str, str]) -> None:
    """Refuse labels that cannot be names of folders.

    Raises:
        OptionError: a label cannot be the name of a folder, or both are equal.
    """
    CollectRequest(labels, 1, ())
    for label in labels:
        if label.startswith(".") or len(os.fsencode(label)) > _LONGEST_NAME:
            raise OptionError(f"a label must be the name of a visible folder, such as crossing, got {label!r}")


def file_name(name: str) -> str:
    """Make a file name of what a person or a program calls a photo.

    Folders are left out, and what cannot be printed or leads elsewhere is replaced.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join("_" if c in '<>:"|?*' or not c.isprintable() else c for c in last).strip(". ")
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        stem, suffix = clean, ""
    short = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(". ")
    return f"{short or 'photo'}{dot}{suffix[:_LONGEST_SUFFIX]}".rstrip(". ")
