"""CSV tables and JSON. File names of any bytes survive in tables; JSON has no NaN.

A spreadsheet program takes a cell that starts with "=", "+", "-" or "@" for a formula, and runs the formula. File names
and titles from the web could start so. The writers here put an apostrophe before the text, which makes it text to every
spreadsheet program. The readers here take the apostrophe off again. Tables without apostrophes are read as they are.
Method: "CSV Injection", Open Worldwide Application Security Project.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Full-width signs start a formula in some languages. White space before a sign may be stripped on import.
_FORMULA = re.compile(r"'*(\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


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
    """Write rows as CSV in UTF-8. File names that are not UTF-8 keep their bytes. No cell starts a formula."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(harmless, row) for row in rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet program takes for a formula: with an apostrophe where one is needed.

    Numbers stay as they are. `read_rows` and `read_records` take the apostrophe off. A cell that already has
    apostrophes before a formula gets one more, so that every text comes back as it was.
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def read_rows(path: Path, strict: bool = False, errors: str = "surrogateescape") -> list[list[str]]:
    """Read a CSV table in UTF-8 as lists of cells. A byte order mark, and what `harmless` added, is passed over.

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
    return [list(map(_plain, row)) for row in csv.reader(_text(path, errors), strict=strict)]


def read_records(path: Path, strict: bool = False) -> tuple[list[str], list[dict[str, str]]]:
    """Read a CSV table in UTF-8 as one dictionary per row, as `csv.DictReader` makes them.

    File names that are not UTF-8 keep their bytes. A byte order mark, and what `harmless` added, is passed over.

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
    columns = list(reader.fieldnames or [])
    return columns, [{column: _plain(cell) for column, cell in row.items()} for row in reader]


def _plain(cell: Any) -> Any:
    """Take off the apostrophe that `harmless` added. What is not text, as where cells are missing, stays."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell) else cell


def _text(path: Path, errors: str) -> io.StringIO:
    return io.StringIO(path.read_bytes().decode("utf-8-sig", errors=errors), newline="")
