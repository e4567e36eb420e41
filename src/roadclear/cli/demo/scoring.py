"""Compare the planted faults with what cleaning and triage found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.cli.demo.planting import SAME_LABEL_COPIES, Kind, Plant
from roadclear.curation.cases import TriageReason
from roadclear.curation.decisions import COLUMNS, move_to
from roadclear.curation.journal import read_journal
from roadclear.data.dataset import RELABELLED
from roadclear.utils.files import write_file
from roadclear.utils.tables import csv_bytes, read_records


@dataclass(frozen=True)
class Cleaned:
    """Results of cleaning, compared with the planted faults.

    Attributes:
        planted: kind -> number of planted faults.
        found: kind -> number of faults that were set aside, or whose original was set aside in their place.
        called: kind -> reasons that cleaning gave, each with its number.
        innocent: sorted files that were set aside without a planted fault.
        mislabelled: photos with a planted wrong label that are still in the folder.
    """

    planted: Counter[Kind]
    found: Counter[Kind]
    called: dict[Kind, Counter[str]]
    innocent: tuple[str, ...]
    mislabelled: tuple[Plant, ...]


def score_cleaning(plants: Sequence[Plant], folder: Path) -> Cleaned:
    """Compare the planted faults with the journal of cleaning in a folder.

    Of two copies under one label, either copy may be set aside, but not both. Of copies under both labels, both must be
    set aside, because nobody can know which label is right.

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
    """Results of triage, compared with the planted wrong labels.

    Attributes:
        suspects: number of label issues that triage found.
        caught: planted wrong labels among the label issues.
        listed: planted wrong labels anywhere in the list of triage.
    """

    suspects: int
    caught: tuple[Plant, ...]
    listed: tuple[Plant, ...]


def score_triage(mislabelled: Sequence[Plant], table: Path) -> Triaged:
    """Compare planted wrong labels with triage.csv."""
    reasons = {row["file"]: row["reason"] for row in read_records(table)[1]}
    suspects = {file for file, reason in reasons.items() if reason == TriageReason.WRONG_LABEL}
    caught = tuple(one for one in mislabelled if one.file in suspects)
    return Triaged(len(suspects), caught, tuple(one for one in mislabelled if one.file in reasons))


def write_decisions(path: Path, listed: Sequence[Plant], table: Path) -> None:
    """Write decisions.csv, which gives photos listed in triage.csv their true labels.

    Raises:
        OutputError: the file cannot be written.
    """
    sha256 = {row["file"]: row["sha256"] for row in read_records(table)[1]}
    rows = ((one.file, sha256[one.file], move_to(one.true_label)) for one in listed)
    write_file(path, csv_bytes(COLUMNS, rows))
