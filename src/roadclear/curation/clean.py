"""Cleaning: files that do not belong in a folder of training photos are set aside, and can be put back.

`inspection` reads every photo once, `copies` groups copies of a picture, and `rules` says which files do not belong.
Then `moves` takes the findings to the quarantine, under a lock and by a journal, or `clean_page` shows the findings.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from roadclear.curation.clean_page import write_review
from roadclear.curation.moves import NotMoved, locked, quarantine, settle
from roadclear.curation.moves import restore as _restore
from roadclear.curation.rules import CleanReason, CleanRules, Finding, find, parse_formats
from roadclear.data.dataset import load_folder
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
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
    """Result of cleaning.

    Attributes:
        photos: number of files that were inspected.
        findings: files that do not belong, sorted by name.
        left: findings that could not be moved.
    """

    photos: int
    findings: tuple[Finding, ...]
    left: tuple[NotMoved, ...] = ()

    @property
    def unreadable_left(self) -> bool:
        """Whether a file that cannot be read stayed among the photos."""
        unreadable = {finding.photo.file for finding in self.findings if finding.reason == CleanReason.UNREADABLE}
        return any(left.file in unreadable for left in self.left)


@dataclass(frozen=True)
class Restoring:
    """Result of restoring.

    Attributes:
        restored: number of files that were moved back.
        left: files that were not moved back.
    """

    restored: int
    left: tuple[NotMoved, ...]


def examine(
    folder: str | os.PathLike[str], rules: CleanRules, cache: FeatureCache, progress: ProgressCallback = no_progress
) -> Cleaning:
    """Find the files of a labelled folder that do not belong. Nothing is written in the folder.

    Args:
        folder: folder of photos, see `roadclear.data.dataset`.
        rules: rules for photos that may stay.
        cache: cache of the statistics and embeddings of photos.
        progress: callback for progress, called after every photo.

    Raises:
        DatasetError: the folder does not have two labels.
        OutputError: the cache cannot be written.
    """
    photos = load_folder(folder).photos
    return Cleaning(len(photos), find(photos, rules, cache, progress))


def clean(
    folder: str | os.PathLike[str], rules: CleanRules, cache: FeatureCache, progress: ProgressCallback = no_progress
) -> Cleaning:
    """Find the files of a labelled folder that do not belong, and move them to the quarantine in the folder.

    Safe to interrupt: a file is at its old or its new path. The next `clean` or `restore` first rolls back the
    interrupted run. The arguments are those of `examine`.

    Raises:
        DatasetError: the folder does not have two labels, the journal is damaged, or a link stands where the journal
            expects a folder.
        OutputError: another process works on the folder, or the folder or the cache cannot be written.
    """
    folder = existing_folder(folder)
    with locked(folder) as held:
        settle(held)
        found = examine(folder, rules, cache, progress)
        return Cleaning(found.photos, found.findings, quarantine(held, found.findings))


def restore(folder: str | os.PathLike[str]) -> Restoring:
    """Revert all moves of cleaning and triage in a folder. Photos from folders of unlabelled photos keep their labels.

    Raises:
        DatasetError: the folder does not exist, the journal is damaged, or files in quarantine are not in the journal.
        OutputError: another process works on the folder, or the folder cannot be written.
    """
    with locked(existing_folder(folder)) as held:
        return Restoring(*_restore(held, lambda moves: [move for move in moves if not move.is_from_unlabelled]))


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of a folder.

    Raises:
        DatasetError: the folder does not exist.
    """
    if not os.path.isdir(folder):  # noqa: PTH112, a path that is too long is no folder, and no error
        raise DatasetError(f"expected a folder of photos, found none at {os.fspath(folder)!r}: check the name")
    return Path(folder)
