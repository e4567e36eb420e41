"""`sources.csv` and `rejected.csv`: what was collected, what was not, and why.

A record is one line, so a line that a kill cut short is told from a whole one, and dropped.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

from roadclear.collect.candidate import Candidate
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import DatasetError
from roadclear.utils.files import append_synced, as_output_error, write_file
from roadclear.utils.tables import csv_bytes, csv_lines, read_rows

SOURCES = "sources.csv"
REJECTED = "rejected.csv"

MAKE_ROOM = "no photo is lost: make room, then collect again"
"""Advice of errors while photos are filed."""

# Readers of CSV refuse cells of more than 131,072 characters.
_LONGEST = 10_000
_WHOLE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
# Whatever would end a line, and what UTF-8 cannot hold.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class SourceRecord:
    """A row of sources.csv, as text. Names of fields are those of the columns.

    Attributes:
        file: relative to the folder, with forward slashes; "" for what was not collected.
        label: of the folder it is under.
        width: in pixels; of a photo that was not collected, as announced, or "".
        bytes: size of the file.
        sha256: of the bytes, in hex.
        retrieved_at: when it was collected or rejected, in UTC, as ISO 8601, to the second; "" until then.
        provider, query, rank, page_url, image_url, title, author, author_url, licence, licence_url, height: see
            `roadclear.collect.candidate.Candidate`.
    """

    file: str
    label: str
    provider: str
    query: str
    rank: str
    page_url: str
    image_url: str
    title: str
    author: str
    author_url: str
    licence: str
    licence_url: str
    width: str
    height: str
    bytes: str
    sha256: str
    retrieved_at: str

    @classmethod
    def of(cls, candidate: Candidate, label: str) -> Self:
        """What is known of a candidate before it is fetched."""
        texts = {
            field.name: _on_one_line(value)
            for field in fields(candidate)
            if (value := getattr(candidate, field.name)) is not None
        }
        empty = dict.fromkeys((field.name for field in fields(cls)), "")
        return cls(**empty | texts | {"label": label})

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same result of the same search."""
        return self.provider, self.query, self.image_url


@dataclass(frozen=True)
class RejectionRecord:
    """A row of rejected.csv: the columns `reason` and `detail`, then those of `SourceRecord`.

    Attributes:
        reason: for a program.
        detail: for a person.
        source: where it is from; of a removed photo, everything.
    """

    reason: RejectionReason
    detail: str
    source: SourceRecord


def read_sources(folder: Path) -> list[SourceRecord]:
    """The rows of a folder's sources.csv, none where there is none.

    Raises:
        DatasetError: it cannot be read, or is another kind of table.
    """
    return [SourceRecord(*row) for row in _read(folder / SOURCES, _SOURCE_COLUMNS)]


def read_rejections(folder: Path) -> list[RejectionRecord]:
    """The rows of a folder's rejected.csv, none where there is none.

    Raises:
        DatasetError: it cannot be read, or is another kind of table.
    """
    rows = _read(folder / REJECTED, _REJECTION_COLUMNS)
    try:
        return [RejectionRecord(RejectionReason(reason), detail, SourceRecord(*rest)) for reason, detail, *rest in rows]
    except ValueError as error:
        raise _other_table(folder / REJECTED, str(error)) from error


def write_sources(folder: Path, sources: Iterable[SourceRecord]) -> None:
    """Replace sources.csv, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_file(folder / SOURCES, csv_bytes(_SOURCE_COLUMNS, map(astuple, sources)))


def write_rejections(folder: Path, rejections: Iterable[RejectionRecord]) -> None:
    """Replace rejected.csv, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_file(folder / REJECTED, csv_bytes(_REJECTION_COLUMNS, map(_cells, rejections)))


def append_source(folder: Path, source: SourceRecord) -> None:
    """Add a row to the sources.csv that is there; it is on disk when this returns.

    Raises:
        OutputError: it cannot be written.
    """
    _append(folder / SOURCES, astuple(source))


def append_rejection(folder: Path, rejection: RejectionRecord) -> None:
    """Add a row to the rejected.csv that is there; it is on disk when this returns.

    Raises:
        OutputError: it cannot be written.
    """
    _append(folder / REJECTED, _cells(rejection))


_SOURCE_COLUMNS = tuple(field.name for field in fields(SourceRecord))
_REJECTION_COLUMNS = ("reason", "detail", *_SOURCE_COLUMNS)


def _on_one_line(value: object) -> str:
    return _UNFIT.sub(" ", str(value)).strip()[:_LONGEST]


def _cells(rejection: RejectionRecord) -> tuple[str, ...]:
    return (rejection.reason, _on_one_line(rejection.detail), *astuple(rejection.source))


def _append(path: Path, row: Iterable[str]) -> None:
    with as_output_error(path, MAKE_ROOM):
        append_synced(path, csv_lines([row]))


def _read(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """The whole rows below the header; the last one may be cut short."""
    try:
        rows = read_rows(path, errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}; make it readable, then try again") from error
    except csv.Error as error:
        raise _other_table(path, str(error)) from error
    if not rows:
        return []
    if tuple(rows[0]) != columns:
        raise _other_table(path, f"the columns {', '.join(rows[0])[:80]!r}")
    if not _is_whole(rows[-1], columns) and len(rows) > 1:
        rows.pop()
    for row in rows[1:]:
        if not _is_whole(row, columns):
            raise _other_table(path, f"a row that does not fit: {','.join(row)[:80]!r}")
    return rows[1:]


def _is_whole(row: list[str], columns: tuple[str, ...]) -> bool:
    return len(row) == len(columns) and _WHOLE.fullmatch(row[-1]) is not None


def _other_table(path: Path, found: str) -> DatasetError:
    return DatasetError(
        f"expected in {str(path)!r} what `roadclear collect` wrote there, found {found}: put the original back, or "
        "move the file away"
    )
