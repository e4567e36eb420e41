"""`triage.csv`: what to look at, with a column to fill in."""

import csv
import io
from collections.abc import Iterable

from roadclear.curation.cases import Case

COLUMNS = ("rank", "reason", "file", "label", "suggested", "probability", "decision", "sha256")


def triage_table(cases: Iterable[Case]) -> bytes:
    """The entries as CSV, in the order of looking; `probability` is that of the positive label.

    File names that are not UTF-8 keep their bytes.
    """
    rows: list[tuple[object, ...]] = [COLUMNS]
    rows += (
        (e.rank, e.reason, e.photo.file, e.photo.label, e.suggested or "", f"{e.probability:.4f}", "", e.sha256)
        for case in cases
        for e in case.entries
    )
    return csv_bytes(rows)


def csv_bytes(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as CSV; what is not UTF-8 keeps its bytes."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")
