"""What was planted against what cleaning and triage found."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.cli.demo.planting import SAME_LABEL_COPIES, Kind, Plant
from roadclear.curation.cases import TriageReason
from roadclear.curation.decisions import COLUMNS, move_to
from roadclear.curation.journal import read_journal
from roadclear.curation.triage_table import csv_bytes
from roadclear.data.dataset import RELABELLED
from roadclear.utils.files import write_file


@dataclass(frozen=True)
class Cleaned:
    """What cleaning made of the plants.

    Attributes:
        planted: kind -> how many.
        found: kind -> how many of them, or the photos that they are copies of, were set aside.
        called: kind -> the reasons that cleaning gave, each with its number.
        innocent: files that were set aside though nothing was planted there; sorted.
        mislabelled: wrongly labelled photos that are still in the folder.
    """

    planted: Counter[Kind]
    found: Counter[Kind]
    called: dict[Kind, Counter[str]]
    innocent: tuple[str, ...]
    mislabelled: tuple[Plant, ...]


def score_cleaning(plants: Sequence[Plant], folder: Path) -> Cleaned:
    """Compare the plants with a folder's journal of cleaning.

    Of two copies under one label either may be set aside, since they are worth the same; both are one too many. Of
    copies under both labels both must be, since nobody can know which label is right.

    Raises:
        DatasetError: the journal is damaged.
    """
    reasons = {move.origin: move.reason for move in read_journal(folder) if move.reason != RELABELLED}
    planted, found = Counter(one.kind for one in plants), Counter[Kind]()
    called: dict[Kind, Counter[str]] = {kind: Counter() for kind in planted}
    explained: set[str] = set()
    for one in plants:
        instead = one.original if one.kind in (*SAME_LABEL_COPIES, Kind.BOTH_LABELS) else one.file
        gone = [file for file in (one.file, instead) if file in reasons]
        explained.update(gone if one.kind == Kind.BOTH_LABELS else gone[:1])
        found[one.kind] += bool(gone)
        called[one.kind].update(reasons[file] for file in gone[:1])
    mislabelled = tuple(one for one in plants if one.kind == Kind.WRONG_LABEL and one.file not in reasons)
    return Cleaned(planted, found, called, tuple(sorted(set(reasons) - explained)), mislabelled)


@dataclass(frozen=True)
class Triaged:
    """What triage made of the wrong labels.

    Attributes:
        suspects: how many photos it suspects.
        caught: the wrongly labelled photos among them.
        listed: the wrongly labelled photos anywhere in its list.
    """

    suspects: int
    caught: tuple[Plant, ...]
    listed: tuple[Plant, ...]


def score_triage(mislabelled: Sequence[Plant], table: Path) -> Triaged:
    """Compare wrongly labelled photos with triage.csv."""
    reasons = {row["file"]: row["reason"] for row in _rows(table)}
    suspects = {file for file, reason in reasons.items() if reason == TriageReason.WRONG_LABEL}
    caught = tuple(one for one in mislabelled if one.file in suspects)
    return Triaged(len(suspects), caught, tuple(one for one in mislabelled if one.file in reasons))


def write_decisions(path: Path, listed: Sequence[Plant], table: Path) -> None:
    """Write decisions.csv: that each of these photos gets its true label, as triage.csv lists it.

    Raises:
        OutputError: it cannot be written.
    """
    sha256 = {row["file"]: row["sha256"] for row in _rows(table)}
    write_file(path, csv_bytes([COLUMNS, *((one.file, sha256[one.file], move_to(one.true_label)) for one in listed)]))


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))
