"""What the model was trained and tested on: counts, sources, licences, and photos that were left out."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.data.dataset import JOURNAL, RELABELLED, LabelledPhoto
from roadclear.data.split import SPLITS
from roadclear.images.decode import UnreadablePhoto
from roadclear.report.messages import limit_sentences
from roadclear.training.limits import limits_of
from roadclear.training.result import TrainingResult
from roadclear.utils.tables import read_records

_SKIPPED_SHOWN = 20


@dataclass(frozen=True)
class SplitRow:
    """Numbers of photos of each label in one split."""

    split: str
    positive: int
    negative: int

    @property
    def total(self) -> int:
        """Number of photos of both labels."""
        return self.positive + self.negative


@dataclass(frozen=True)
class Data:
    """The photos of a training.

    Attributes:
        splits: counts by split, and in total.
        sources: number of known sources.
        authors: number of named authors.
        licences: licence -> number of photos, the most frequent first, then by name; empty where no licence is known.
        skipped: the first photos that could not be used.
        skipped_total: number of all photos that could not be used.
        cleaned: reason -> number of photos that cleaning or triage has set aside.
        relabelled: number of photos that triage has moved to the other label.
        limits: sentences about what was done on some of very many photos.
    """

    splits: tuple[SplitRow, ...]
    sources: int
    authors: int
    licences: dict[str, int]
    skipped: tuple[UnreadablePhoto, ...]
    skipped_total: int
    cleaned: dict[str, int]
    relabelled: int
    limits: tuple[str, ...] = ()


def describe_data(training: TrainingResult, folder: Path) -> Data:
    """Describe the photos of a training, from the result and from the tables in the folder of photos."""
    photos, facts = training.data.photos, training.facts
    counts = Counter((split, photo.label) for split, photo in zip(training.data.splits, photos, strict=True))
    rows = [
        SplitRow(split, counts[split, facts.positive], counts[split, facts.negative])
        for split in SPLITS
        if split in training.data.splits
    ]
    total = SplitRow("all", sum(row.positive for row in rows), sum(row.negative for row in rows))
    moved = _moved(folder)
    return Data(
        splits=(*rows, total),
        sources=len({photo.source for photo in photos if photo.source is not None}),
        authors=len({photo.author for photo in photos if photo.author is not None}),
        licences=_licences(photos),
        skipped=training.data.skipped[:_SKIPPED_SHOWN],
        skipped_total=len(training.data.skipped),
        cleaned={reason: n for reason, n in moved.most_common() if reason != RELABELLED},
        relabelled=moved[RELABELLED],
        limits=tuple(limit_sentences(limits_of(training.data))),
    )


def _licences(photos: Sequence[LabelledPhoto]) -> dict[str, int]:
    """Count photos by licence; nothing where no licence is known."""
    counts = Counter(photo.licence or "unknown" for photo in photos)
    known = any(photo.licence for photo in photos)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))) if known else {}


def _moved(folder: Path) -> Counter[str]:
    """Count photos that cleaning and triage have moved, by reason. A photo counts if it is still at its new place."""
    rows = [row for row in _rows(folder / JOURNAL) if row.get("to") and row.get("reason")]
    return Counter(row["reason"] for row in rows if os.path.lexists(folder / row["to"]))


def _rows(table: Path) -> list[dict[str, str]]:
    """Rows of a table; empty where there is no table. `load_folder` has already refused damaged tables."""
    return read_records(table)[1] if table.is_file() else []
