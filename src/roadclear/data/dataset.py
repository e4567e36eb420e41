"""A labelled folder of photos: root/<label>/*, or root/{train,validation,test}/<label>/*.

Folders are the interface: the name of the folder a photo lies in is its label, and moving the file relabels
it. Two optional tables in the root tell more of a file (column `file`, relative to the root): `manifest.csv` the
`scene` that it shows and the `source_repo` it is from, `sources.csv` the `provider`, `page_url` and `author`. What
they tell of a file that triage relabelled is found by its earlier name, which `cleaning.csv` knows.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from roadclear.data.discovery import walk
from roadclear.data.split import SPLITS, TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError

MANIFEST = "manifest.csv"
SOURCES = "sources.csv"
JOURNAL = "cleaning.csv"
RELABELLED = "relabelled"
SPLIT_FOLDERS = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True)
class LabelledPhoto:
    """One file of a labelled folder.

    Attributes:
        path: where it lies.
        file: its path relative to the dataset's root, with forward slashes.
        label: the name of its label folder.
        split: the part its folder puts it in ("train", "validation", "test"), or None.
        scene: what it shows, by the manifest: photos of one scene belong together. None where nothing is told.
        source: the site or repository that it is from, or None.
        page: address of the page that it is from, or None.
        author: its author, or None.
    """

    path: Path
    file: str
    label: str
    split: str | None = None
    scene: str | None = None
    source: str | None = None
    page: str | None = None
    author: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The photos of a folder with two labels.

    Attributes:
        root: the folder.
        photos: in the order of their relative paths.
        labels: the two label names in alphabetical order.
    """

    root: Path
    photos: tuple[LabelledPhoto, ...]
    labels: tuple[str, str]


def load_folder(root: str | os.PathLike[str], labels: Sequence[str] | None = None) -> Dataset:
    """List a labelled folder. No photo is opened.

    Hidden files and folders (a leading dot), and files that lie outside the label folders, are passed over.

    Args:
        root: the folder.
        labels: the two label names that are expected, of which one may have no folder; None for any two.

    Raises:
        DatasetError: no such folder; not exactly two labels; train/validation/test folders with other labels
            beside them; a label that is not UTF-8; a table that is not CSV.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"expected a folder with one subfolder a label, found no folder at {str(root)!r}")
    folders = _subfolders(root)
    parts: list[tuple[str | None, Path]]
    if folders and all(folder.name.lower() in SPLIT_FOLDERS for folder in folders):
        parts = [(SPLIT_FOLDERS[folder.name.lower()], label) for folder in folders for label in _subfolders(folder)]
    else:
        parts = [(None, label) for label in folders]
    both = _two_labels(root, [folder.name for _, folder in parts], labels)
    told = _read_tables(root)
    photos = [
        LabelledPhoto(path, file, folder.name, part, **told.get(file, {}))
        for part, folder in parts
        for path in walk(folder)
        for file in [path.relative_to(root).as_posix()]
    ]
    return Dataset(root, tuple(sorted(photos, key=lambda photo: photo.file)), both)


def with_split(dataset: Dataset, table: str | os.PathLike[str]) -> Dataset:
    """The data set with the parts that a CSV table (columns `file` and `split`) gives its photos.

    Raises:
        DatasetError: there is no such table, it leaves out a photo, or names an unknown part.
    """
    if not Path(table).is_file():
        raise DatasetError(f"expected a split table at {str(table)!r}, found none: make it with roadclear split")
    parts = {row["file"]: row.get("split") or "" for row in _rows(Path(table))}
    missing = [photo.file for photo in dataset.photos if photo.file not in parts]
    if missing:
        raise DatasetError(
            f"{str(table)!r} lacks {len(missing)} of the {len(dataset.photos)} photos, the first being {missing[0]!r}: "
            "make it anew with roadclear split"
        )
    unknown = sorted(set(parts.values()) - set(SPLITS))
    if unknown:
        raise DatasetError(f"the parts of a split are {', '.join(SPLITS)}, found {unknown[0]!r} in {str(table)!r}")
    photos = tuple(replace(photo, split=parts[photo.file]) for photo in dataset.photos)
    return replace(dataset, photos=photos)


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _two_labels(root: Path, names: Sequence[str], expected: Sequence[str] | None) -> tuple[str, str]:
    found = sorted(set(names))
    listed = f"{len(found)} ({', '.join(map(repr, found[:6]))})" if found else "none"
    if expected is not None:
        if not found or not set(found) <= set(expected):
            wanted = " and ".join(map(repr, expected))
            raise DatasetError(f"expected label folders {wanted} in {str(root)!r}, found {listed}: rename the folders")
        found = sorted(expected)
    if len(found) != 2:
        advice = {0: "make one folder a label and put its photos there", 1: "add a folder of the other label"}
        raise DatasetError(
            f"expected two label folders in {str(root)!r}, found {listed}: "
            + advice.get(len(found), "move the others away, or merge them into two")
        )
    for label in found:
        if not label.isprintable() or label != label.encode(errors="replace").decode():
            raise DatasetError(f"expected a label folder with a printable UTF-8 name, found {label!r}: rename it")
    return found[0], found[1]


def _read_tables(root: Path) -> dict[str, dict[str, str | None]]:
    """What manifest.csv and sources.csv tell of each file: its scene, source, page and author."""
    told: dict[str, dict[str, str | None]] = {}
    for row in _rows(root / MANIFEST):
        told[row["file"]] = {"scene": row.get("scene") or None, "source": row.get("source_repo") or None}
    for row in _rows(root / SOURCES):
        page = row.get("page_url") or None
        source = (urlsplit(page).hostname if page else None) or row.get("provider") or None
        told.setdefault(row["file"], {}).update(source=source, page=page, author=row.get("author") or None)
    for row in _rows(root / JOURNAL, "to"):
        if row.get("reason") == RELABELLED and row.get("from") in told:
            told.setdefault(row["to"], told[row["from"]])
    return told


def _rows(table: Path, column: str = "file") -> Iterator[dict[str, str]]:
    """Rows of a table that have a file in a column; none where there is no table."""
    if not table.is_file():
        return
    with table.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        rows = csv.DictReader(lines)
        try:
            if rows.fieldnames and column not in rows.fieldnames:
                raise DatasetError(
                    f"expected a table with commas and a column {column!r} at {str(table)!r}, found the columns "
                    f"{rows.fieldnames}: correct or remove it"
                )
            yield from (row for row in rows if row.get(column))
        except csv.Error as error:
            raise DatasetError(
                f"expected a CSV table at {str(table)!r}, found {error}: correct or remove it"
            ) from error
