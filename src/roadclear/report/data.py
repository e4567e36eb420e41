"""What the model was trained and tested on: counts, origins, licences, and what was left out."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from roadclear.clean.journal import JOURNAL, read_journal
from roadclear.dataset import MANIFEST, SOURCES
from roadclear.errors import DatasetError
from roadclear.model import Unreadable
from roadclear.split import SPLITS
from roadclear.training import Training

_SKIPPED_SHOWN = 20


@dataclass(frozen=True)
class PartRow:
    """Photos of each label in one part of the split."""

    part: str
    positive: int
    negative: int

    @property
    def total(self) -> int:
        """Photos of both labels."""
        return self.positive + self.negative


@dataclass(frozen=True)
class Data:
    """The photos of a training.

    Attributes:
        parts: counts by part, and of all.
        sources: source -> (positive, negative) photos, the largest first; empty where none is told.
        authors: how many authors are named.
        licences: licence -> photos, the most frequent first; empty where none is told.
        skipped: the first of the photos that could not be used.
        skipped_total: how many they are.
        cleaned: reason -> photos that cleaning has set aside.
        cleaned_fault: why the journal of cleaning cannot be read, or None.
    """

    parts: tuple[PartRow, ...]
    sources: dict[str, tuple[int, int]]
    authors: int
    licences: dict[str, int]
    skipped: tuple[Unreadable, ...]
    skipped_total: int
    cleaned: dict[str, int]
    cleaned_fault: str | None


def describe_data(training: Training, folder: Path) -> Data:
    """What is known of the photos of a training, from it and from the tables in their folder."""
    photos, facts = training.placement.photos, training.facts
    counts = Counter((part, photo.label) for part, photo in zip(training.placement.parts, photos, strict=True))
    parts = [
        PartRow(part, counts[part, facts.positive], counts[part, facts.negative])
        for part in SPLITS
        if part in training.placement.parts
    ]
    total = PartRow("all", sum(row.positive for row in parts), sum(row.negative for row in parts))
    sources = Counter((photo.source, photo.label) for photo in photos if photo.source is not None)
    names = Counter(photo.source for photo in photos if photo.source is not None)
    cleaned, fault = _cleaned(folder)
    return Data(
        parts=(*parts, total),
        sources={
            name: (sources[name, facts.positive], sources[name, facts.negative]) for name, _ in names.most_common()
        },
        authors=len({photo.author for photo in photos if photo.author is not None}),
        licences=_licences(folder, {photo.file for photo in photos}),
        skipped=training.placement.skipped[:_SKIPPED_SHOWN],
        skipped_total=len(training.placement.skipped),
        cleaned=cleaned,
        cleaned_fault=fault,
    )


def _licences(folder: Path, files: set[str]) -> dict[str, int]:
    """Photos by the column `licence` of the tables beside them; sources.csv wins, as it does for sources."""
    told: dict[str, str] = {}
    for table in (MANIFEST, SOURCES):
        if (folder / table).is_file():
            with (folder / table).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
                told |= {row["file"]: row["licence"] for row in csv.DictReader(lines) if row.get("licence")}
    counts = Counter(told.get(file, "not told") for file in files)
    return dict(counts.most_common()) if set(counts) != {"not told"} else {}


def _cleaned(folder: Path) -> tuple[dict[str, int], str | None]:
    if not (folder / JOURNAL).is_file():
        return {}, None
    try:
        return dict(Counter(move.reason for move in read_journal(folder)).most_common()), None
    except DatasetError as error:
        return {}, str(error)
