"""Tables of collected photos and their sources, and of rejected photos and the reasons: `sources.csv`, `rejected.csv`.

A record is one line and ends with a time. So a line that a kill cut short is recognised, and dropped.
"""

import csv
import os
import re
from collections.abc import Iterable, Mapping
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
# Characters that may end a line, and characters that UTF-8 cannot hold.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True)
class SourceRecord:
    """A row of sources.csv, as text. The fields are named like the columns.

    Attributes:
        file: path relative to the folder, with forward slashes; "" for a photo that was not collected.
        label: label whose folder holds the photo.
        width: width in pixels; for a photo that was not collected, the announced width or "".
        bytes: size of the file in bytes.
        sha256: SHA-256 of the file, in hex.
        retrieved_at: time of collection or rejection in UTC, as ISO 8601, to the second; "" before.
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
        """Make the record of a candidate that is not fetched yet."""
        texts = {
            field.name: _on_one_line(value)
            for field in fields(candidate)
            if (value := getattr(candidate, field.name)) is not None
        }
        empty = dict.fromkeys((field.name for field in fields(cls)), "")
        return cls(**empty | texts | {"label": label})

    @classmethod
    def of_values(cls, values: Mapping[str, object]) -> Self:
        """Make a record of values by the names of its fields. Other values are passed over."""
        return cls(**{field.name: _on_one_line(values.get(field.name, "")) for field in fields(cls)})

    @property
    def is_whole(self) -> bool:
        """Whether the record ends with a time, as one of a collected or rejected photo does."""
        return _WHOLE.fullmatch(self.retrieved_at) is not None

    @property
    def key(self) -> tuple[str, str, str]:
        """Key of a result: provider, query and address."""
        return self.provider, self.query, self.image_url


@dataclass(frozen=True)
class RejectionRecord:
    """A row of rejected.csv: the columns `reason` and `detail`, then those of `SourceRecord`.

    Attributes:
        reason: the reason for a program.
        detail: the reason in words for a person.
        source: source of the photo. The record of a removed photo is complete.
    """

    reason: RejectionReason
    detail: str
    source: SourceRecord


def read_sources(folder: Path) -> list[SourceRecord]:
    """Read the rows of a folder's sources.csv. Without the file there are no rows.

    Raises:
        DatasetError: the file cannot be read, or is another kind of table.
    """
    return read_source_table(folder / SOURCES)


def read_rejections(folder: Path) -> list[RejectionRecord]:
    """Read the rows of a folder's rejected.csv. Without the file there are no rows.

    Raises:
        DatasetError: the file cannot be read, or is another kind of table.
    """
    return read_rejection_table(folder / REJECTED)


def read_source_table(path: Path, shown: str | None = None) -> list[SourceRecord]:
    """Read the rows of a table of sources. Without the file there are no rows.

    Args:
        path: file of the table.
        shown: name by which the user knows the file; None for the path.

    Raises:
        DatasetError: the file cannot be read, or is another kind of table.
    """
    return [SourceRecord(*row) for row in _read(path, _SOURCE_COLUMNS, shown)]


def read_rejection_table(path: Path, shown: str | None = None) -> list[RejectionRecord]:
    """Read the rows of a table of rejections; see `read_source_table`."""
    rows = _read(path, _REJECTION_COLUMNS, shown)
    try:
        return [RejectionRecord(RejectionReason(reason), detail, SourceRecord(*rest)) for reason, detail, *rest in rows]
    except ValueError as error:
        raise _other_table(shown or str(path), str(error)) from error


def source_table(sources: Iterable[SourceRecord]) -> bytes:
    """Make a table of sources."""
    return csv_bytes(_SOURCE_COLUMNS, map(astuple, sources))


def rejection_table(rejections: Iterable[RejectionRecord]) -> bytes:
    """Make a table of rejections."""
    return csv_bytes(_REJECTION_COLUMNS, map(_cells, rejections))


def write_sources(folder: Path, sources: Iterable[SourceRecord]) -> None:
    """Replace sources.csv, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(folder / SOURCES, source_table(sources))


def write_rejections(folder: Path, rejections: Iterable[RejectionRecord]) -> None:
    """Replace rejected.csv, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(folder / REJECTED, rejection_table(rejections))


def append_source(folder: Path, source: SourceRecord) -> None:
    """Append a row to sources.csv. The row is on disk when this returns.

    Raises:
        OutputError: the file cannot be written.
    """
    _append(folder / SOURCES, astuple(source))


def append_rejection(folder: Path, rejection: RejectionRecord) -> None:
    """Append a row to rejected.csv. The row is on disk when this returns.

    Raises:
        OutputError: the file cannot be written.
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


def _read(path: Path, columns: tuple[str, ...], shown: str | None = None) -> list[list[str]]:
    """Read the rows below the header. A last row that was cut short is dropped."""
    name = shown or str(path)
    if os.path.lexists(path) and not path.is_dir() and not path.is_file():  # opening a pipe would wait for ever
        raise _other_table(name, "no file")
    try:
        rows = read_rows(path, errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(f"cannot read {name!r}: {error.strerror}; make it readable, then try again") from error
    except csv.Error as error:
        raise _other_table(name, str(error)) from error
    if not rows:
        return []
    if tuple(rows[0]) != columns:
        raise _other_table(name, f"the columns {', '.join(rows[0])[:80]!r}")
    if not _is_whole(rows[-1], columns) and len(rows) > 1:
        rows.pop()
    for row in rows[1:]:
        if not _is_whole(row, columns):
            raise _other_table(name, f"a row that does not fit: {','.join(row)[:80]!r}")
    return rows[1:]


def _is_whole(row: list[str], columns: tuple[str, ...]) -> bool:
    return len(row) == len(columns) and _WHOLE.fullmatch(row[-1]) is not None


def _other_table(name: str, found: str) -> DatasetError:
    return DatasetError(
        f"expected in {name!r} what `roadclear collect` wrote there, found {found}: put the original back, or "
        "move the file away"
    )
