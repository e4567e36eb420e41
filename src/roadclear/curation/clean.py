"""What does not belong in a folder of training photos is set aside, and can be put back.

Inspection looks at every photo once, copies groups those that are one picture, and findings says what does not belong
and why. Then the quarantine takes it, under a lock and by a journal, or the review shows it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from roadclear.curation.clean_page import write_review
from roadclear.curation.moves import NotMoved, quarantine, settle
from roadclear.curation.moves import restore as _restore
from roadclear.curation.rules import CleanReason, CleanRules, Finding, find, parse_formats
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
from roadclear.utils.locks import folder_lock
from roadclear.utils.progress import ProgressCallback, no_progress

__all__ = [
    "CleanReason",
    "CleanRules",
    "Cleaning",
    "Finding",
    "NotMoved",
    "Restoring",
    "clean",
    "examine",
    "existing_folder",
    "parse_formats",
    "restore",
    "write_review",
]


@dataclass(frozen=True)
class Cleaning:
    """What cleaning found, or did.

    Attributes:
        photos: how many files were looked at.
        findings: what does not belong, in the order of the files' names.
        left: those of them that could not be moved.
    """

    photos: int
    findings: tuple[Finding, ...]
    left: tuple[NotMoved, ...] = ()

    @property
    def unreadable_left(self) -> bool:
        """Whether a file that cannot be read is still among the photos."""
        unreadable = {finding.photo.file for finding in self.findings if finding.reason == CleanReason.UNREADABLE}
        return any(left.file in unreadable for left in self.left)


@dataclass(frozen=True)
class Restoring:
    """What restoring did.

    Attributes:
        restored: how many files were moved back.
        left: those that stay in quarantine.
    """

    restored: int
    left: tuple[NotMoved, ...]


def examine(
    folder: str | os.PathLike[str], rules: CleanRules, cache: FeatureCache, progress: ProgressCallback = no_progress
) -> Cleaning:
    """Find what does not belong in a labelled folder. Nothing is written there.

    Args:
        folder: of photos, see `roadclear.data.dataset`.
        rules: what may stay.
        cache: where what is seen in a photo is kept.
        progress: called after every photo.

    Raises:
        DatasetError: not a folder of two labels.
        OutputError: the cache cannot be written.
    """
    photos = load_folder(folder).photos
    return Cleaning(len(photos), find(photos, rules, cache, progress))


def clean(
    folder: str | os.PathLike[str], rules: CleanRules, cache: FeatureCache, progress: ProgressCallback = no_progress
) -> Cleaning:
    """Find what does not belong in a labelled folder, and move it to the quarantine in it.

    A kill at any moment loses nothing: every file is in its old place or in its new one, and cleaning again or
    restoring first undoes what the killed run had moved. Arguments are those of `examine`.

    Raises:
        DatasetError: not a folder of two labels, or its journal is damaged.
        OutputError: another process cleans it, or the folder or the cache cannot be written.
    """
    folder = existing_folder(folder)
    with folder_lock(folder):
        settle(folder)
        found = examine(folder, rules, cache, progress)
        return Cleaning(found.photos, found.findings, quarantine(folder, found.findings))


def restore(folder: str | os.PathLike[str]) -> Restoring:
    """Move everything in a folder's quarantine back to where it was.

    Raises:
        DatasetError: no such folder, its journal is damaged, or files in quarantine are not in the journal.
        OutputError: another process cleans it, or the folder cannot be written.
    """
    folder = existing_folder(folder)
    with folder_lock(folder):
        return Restoring(*_restore(folder))


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """The path of a folder.

    Raises:
        DatasetError: there is none.
    """
    if not Path(folder).is_dir():
        raise DatasetError(f"expected a folder of photos, found none at {os.fspath(folder)!r}: check the name")
    return Path(folder)
