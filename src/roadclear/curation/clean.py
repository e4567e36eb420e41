"""Cleaning: files that do not belong in a folder of training photos are set aside, and can be put back.

`inspection` reads every photo once, `copies` groups copies of a picture, and `rules` says which files do not belong.
Then `moves` takes the findings to the quarantine, under a lock and by a journal, or `clean_page` shows the findings.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.curation.clean_page import write_review
from roadclear.curation.moves import NotMoved, locked, quarantine, settle
from roadclear.curation.moves import restore as _restore
from roadclear.curation.rules import CleanReason, CleanRules, Finding, find, parse_formats
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.opening import is_sharded
from roadclear.data.sources import load_photos
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
from roadclear.images.decode import UnreadablePhoto
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.storage import name_of
from roadclear.utils.tables import csv_bytes

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
    "findings_table",
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
        skipped: photos of shards that could not be read, and those without a label, with reasons.
    """

    photos: int
    findings: tuple[Finding, ...]
    left: tuple[NotMoved, ...] = ()
    skipped: tuple[UnreadablePhoto, ...] = ()

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
    source: str | os.PathLike[str],
    rules: CleanRules,
    cache: FeatureCache,
    progress: ProgressCallback = no_progress,
    columns: SourceSettings | None = None,
) -> Cleaning:
    """Find the photos that do not belong. Nothing is written among the photos.

    Args:
        source: photos, see `roadclear.data.sources.load_photos`.
        rules: rules for photos that may stay.
        cache: cache of the statistics and embeddings of photos.
        progress: callback for progress, called after every photo.
        columns: columns with photos and labels, in Parquet files and tables.

    Raises:
        DatasetError, OptionError: see `roadclear.data.sources.load_photos`.
        OutputError: the cache cannot be written.
    """
    dataset = load_photos(source, columns=columns)
    findings = find(dataset.photos, rules, cache, progress)
    return Cleaning(len(dataset.photos), findings, skipped=dataset.skipped)


def findings_table(findings: Sequence[Finding]) -> bytes:
    """Write findings as a CSV table: file, label, reason, detail, the copy that stays, and SHA-256."""
    columns = ("file", "label", "reason", "detail", "kept", "sha256")
    rows = ((f.photo.file, f.photo.label, f.reason, f.detail, f.kept or "", f.sha256) for f in findings)
    return csv_bytes(columns, rows)


def clean(
    folder: str | os.PathLike[str], rules: CleanRules, cache: FeatureCache, progress: ProgressCallback = no_progress
) -> Cleaning:
    """Find the files of a labelled folder that do not belong, and move them to the quarantine in the folder.

    Safe to interrupt: a file is at its old or its new path. The next `clean` or `restore` first rolls back the
    interrupted run. The arguments are those of `examine`, and the source is a folder of photo files.

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
        DatasetError: the folder does not exist, or holds shards.
    """
    if is_sharded(folder):
        raise DatasetError(
            f"expected a folder of photo files, found shards or a remote source at {name_of(folder)!r}: its photos are "
            "never moved"
        )
    if not os.path.isdir(folder):  # noqa: PTH112, a path that is too long is no folder, and no error
        raise DatasetError(f"expected a folder of photos, found none at {os.fspath(folder)!r}: check the name")
    return Path(folder)
