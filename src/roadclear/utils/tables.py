"""Tables and JSON as bytes and text: CSV that keeps file names of any bytes, JSON without NaN."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any


def to_json(values: Any) -> str:
    """JSON for people and programs; in ASCII, so that file names of any bytes pass."""
    return json.dumps(values, indent=2, allow_nan=False)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """CSV as bytes; file names that are not UTF-8 keep their bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")


def number_or_none(value: float) -> float | None:
    """A number as JSON has it: None where it is undefined."""
    return value if math.isfinite(value) else None
