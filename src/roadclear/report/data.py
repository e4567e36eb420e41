"""What the model was trained and tested on: counts, origins, licences, and what was left out."""

import csv
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from roadclear.data.dataset import JOURNAL, MANIFEST, RELABELLED, SOURCES
from roadclear.data.split import SPLITS
from roadclear.images.decode import UnreadablePhoto
from roadclear.training.result import TrainingResult

_SKIPPED_SHOWN = 20


@dataclass(frozen=True)
class SplitRow:
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
        splits: counts by part, and of all.
        sources: how many sources are told.
        authors: how many authors are named.
        licences: licence -> photos, the most frequent first; empty where none is told.
        skipped: the first of the photos that could not be used.
        skipped_total: how many they are.
        cleaned: reason -> photos that cleaning or triage has set aside.
        relabelled: photos that triage has moved to the other label.
    """

    splits: tuple[SplitRow, ...]
    sources: int
    authors: int
    licences: dict[str, int]
    skipped: tuple[UnreadablePhoto, ...]
    skipped_total: int
    cleaned: dict[str, int]
    relabelled: int


def describe_data(training: TrainingResult, folder: Path) -> Data:
    """What is known of the photos of a training, from it and from the tables in their folder."""
    photos, facts = training.data.photos, training.facts
    counts = Counter((part, photo.label) for part, photo in zip(training.data.splits, photos, strict=True))
    parts = [
        SplitRow(part, counts[part, facts.positive], counts[part, facts.negative])
        for part in SPLITS
        if part in training.data.splits
    ]
    total = SplitRow("all", sum(row.positive for row in parts), sum(row.negative for row in parts))
    moved = _moved(folder)
    return Data(
        splits=(*parts, total),
        sources=len({photo.source for photo in photos if photo.source is not None}),
        authors=len({photo.author for photo in photos if photo.author is not None}),
        licences=_licences(folder, {photo.file for photo in photos}),
        skipped=training.data.skipped[:_SKIPPED_SHOWN],
        skipped_total=len(training.data.skipped),
        cleaned={reason: n for reason, n in moved.most_common() if reason != RELABELLED},
        relabelled=moved[RELABELLED],
    )


def _licences(folder: Path, files: set[str]) -> dict[str, int]:
    """Photos by the column `licence` of the tables beside them; sources.csv wins, as it does for sources."""
    told: dict[str, str] = {}
    for table in (MANIFEST, SOURCES):
        told |= {row["file"]: row["licence"] for row in _rows(folder / table) if row.get("file") and row.get("licence")}
    counts = Counter(told.get(file, "not told") for file in files)
    return dict(counts.most_common()) if told else {}


def _moved(folder: Path) -> Counter[str]:
    """Photos that cleaning and triage have moved, by reason: those whose new place is taken."""
    rows = [row for row in _rows(folder / JOURNAL) if row.get("to") and row.get("reason")]
    return Counter(row["reason"] for row in rows if os.path.lexists(folder / row["to"]))


def _rows(table: Path) -> list[dict[str, str]]:
    """Rows of a table, none where there is no table. `load_folder` has refused those that are no CSV."""
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))
