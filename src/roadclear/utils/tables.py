"""CSV tables and JSON. File names of any bytes survive in tables; JSON has no NaN."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def to_json(values: Any) -> str:
    """Return values as indented JSON, in ASCII so that file names of any bytes pass."""
    return json.dumps(values, indent=2, allow_nan=False)


def number_or_none(value: float) -> float | None:
    """Return a number for JSON, or None if the number is undefined or infinite."""
    return value if math.isfinite(value) else None


def csv_bytes(header: Sequence[str], rows: Iterable[Iterable[object]] = ()) -> bytes:
    """Write a table with a header as CSV, as `csv_lines` writes its rows."""
    return csv_lines([header]) + csv_lines(rows)


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Write rows as CSV in UTF-8. File names that are not UTF-8 keep their bytes."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")


def read_rows(path: Path, strict: bool = False, errors: str = "surrogateescape") -> list[list[str]]:
    """Read a CSV table in UTF-8 as lists of cells. A byte order mark is passed over.

    Args:
        path: file of the table.
        strict: whether malformed quotes are an error.
        errors: error handler for bytes that are not UTF-8, as `bytes.decode` takes it.

    Returns:
        All rows, the header first.

    Raises:
        OSError: the file cannot be read.
        csv.Error: the file is not CSV.
    """
    return list(csv.reader(_text(path, errors), strict=strict))


def read_records(path: Path, strict: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV table in UTF-8 as one dictionary per row, as `csv.DictReader` makes them.

    File names that are not UTF-8 keep their bytes. A byte order mark is passed over.

    Args:
        path: file of the table.
        strict: whether malformed quotes are an error.

    Returns:
        The columns, and the rows by column. A cell that is missing is None. Cells beyond the last column stand
        under the key None.

    Raises:
        OSError: the file cannot be read.
        csv.Error: the file is not CSV.
    """
    reader = csv.DictReader(_text(path, "surrogateescape"), strict=strict)
    return list(reader.fieldnames or []), list(reader)


def _text(path: Path, errors: str) -> io.StringIO:
    return io.StringIO(path.read_bytes().decode("utf-8-sig", errors=errors), newline="")
