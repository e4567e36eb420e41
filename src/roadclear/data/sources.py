"""Labelled photos from a folder, from a ZIP archive of such a folder, or from a CSV table of labels."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from roadclear.data.archive import is_archive, unpack
from roadclear.data.dataset import Dataset, LabelledPhoto, label_names, load_folder, read_tables, unwrap
from roadclear.data.split import SPLITS
from roadclear.errors import DatasetError
from roadclear.utils.tables import read_records

_TABLE_SUFFIX = ".csv"


def load_photos(source: str | os.PathLike[str], labels: Sequence[str] | None = None) -> Dataset:
    """List labelled photos. No photo is opened.

    A table has the columns `file` and `label`, and optionally `split`. A file is a path relative to the table's
    folder. An archive is unpacked into a temporary folder until the program ends.

    Args:
        source: a folder as `load_folder` takes it, a ZIP archive of such a folder, or a CSV table of labels.
        labels: expected label names, of which one may have no photo; None for any two names.

    Raises:
        DatasetError: see `load_folder`, `roadclear.data.archive.unpack` and `load_table`.
        OutputError: an archive cannot be unpacked.
    """
    path = Path(source)
    if is_table(path):
        return load_table(path, labels)
    return load_folder(root_of(path), labels)


def is_table(path: Path) -> bool:
    """Whether a path is a regular file that is named .csv."""
    return path.suffix.lower() == _TABLE_SUFFIX and path.is_file()


def root_of(source: str | os.PathLike[str]) -> Path:
    """Find the folder that names of photos are relative to: the folder, a table's folder, or an unpacked archive.

    Raises:
        DatasetError, OutputError: an archive cannot be unpacked.
    """
    path = Path(source)
    if is_table(path):
        return path.parent
    return unwrap(unpack(path)) if is_archive(path) else path


def names_of_labels(source: str | os.PathLike[str]) -> tuple[str, str]:
    """Name the two labels of labelled photos, in alphabetical order.

    Raises:
        DatasetError, OutputError: see `load_photos`.
    """
    path = Path(source)
    return load_table(path).labels if is_table(path) else label_names(root_of(path))


def load_table(table: Path, labels: Sequence[str] | None = None) -> Dataset:
    """List the photos of a CSV table of labels. Files beside it that the table does not name are left out.

    Args:
        table: path of the table.
        labels: see `load_photos`.

    Raises:
        DatasetError: the table cannot be read, lacks a column, has other than two labels, names a file under both
            labels or without a label, has an unknown split, or names a file outside its folder.
    """
    known = read_tables(table.parent)
    photos: dict[str, LabelledPhoto] = {}
    for number, row in enumerate(_records(table), start=2):
        file, label, split = _file(table, number, row), row.get("label") or "", row.get("split") or None
        if not label:
            raise _refused(table, number, "a label", "none")
        if split is not None and split not in SPLITS:
            raise _refused(table, number, f"one of {', '.join(SPLITS)}", repr(split))
        photo = LabelledPhoto(table.parent / file, file, label, split, **known.get(file, {}))
        if photos.setdefault(file, photo) != photo:
            raise _refused(table, number, "one label and one split a file", f"others for {file!r}")
    both = _two_labels(table, {photo.label for photo in photos.values()}, labels)
    return Dataset(table.parent, tuple(photos[file] for file in sorted(photos)), both)


def _two_labels(table: Path, found: set[str], expected: Sequence[str] | None) -> tuple[str, str]:
    names = sorted(found if expected is None or not found or not found <= set(expected) else expected)
    if len(names) != 2 or (expected is not None and set(names) != set(expected)):
        wanted = "two labels" if expected is None else "the labels " + " and ".join(map(repr, expected))
        listed = ", ".join(map(repr, names[:6])) or "none"
        raise DatasetError(f"expected {wanted} in {str(table)!r}, found {len(names)} ({listed}): correct the table")
    for label in names:
        if not label.isprintable() or label != label.encode(errors="replace").decode():
            raise DatasetError(f"expected printable labels in {str(table)!r}, found {label!r}: correct the table")
    return names[0], names[1]


def _records(table: Path) -> list[dict[str, str]]:
    try:
        columns, rows = read_records(table)
    except (OSError, csv.Error) as error:
        raise DatasetError(f"expected a CSV table at {str(table)!r}, found {error}: correct it") from error
    for column in ("file", "label"):
        if column not in columns:
            raise DatasetError(
                f"expected a table with the columns 'file' and 'label' at {str(table)!r}, found {columns[:10]}: "
                "correct the first line, or name a folder of photos"
            )
    return rows


def _file(table: Path, number: int, row: dict[str, str]) -> str:
    """The file of a row, relative to the table's folder, with forward slashes."""
    name = PurePosixPath((row.get("file") or "").replace("\\", "/") if os.name == "nt" else row.get("file") or "")
    if not name.parts or name.is_absolute() or ".." in name.parts or "\0" in str(name):
        raise _refused(table, number, "a path relative to the table's folder", repr(row.get("file") or ""))
    return name.as_posix()


def _refused(table: Path, number: int, expected: str, found: str) -> DatasetError:
    return DatasetError(f"expected {expected} in line {number} of {str(table)!r}, found {found}: correct the table")
