"""A labelled folder of photos: root/<label>/*, or root/{train,validation,test}/<label>/*.

Folders are the interface: a photo's label is the name of its folder, and moving the file changes the label.

Two optional tables in the root describe files by the column `file`, a path relative to the root. `manifest.csv` has the
columns `scene`, `source_repo` and `licence`. `sources.csv` has the columns `provider`, `page_url`, `author` and
`licence`. A file that triage relabelled is found under its earlier name, which `cleaning.csv` records.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from roadclear.data.discovery import walk
from roadclear.data.split import SPLITS, TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError, PhotoError
from roadclear.images.decode import UnreadablePhoto, decode, read_bytes
from roadclear.utils.tables import read_records

MANIFEST = "manifest.csv"
SOURCES = "sources.csv"
JOURNAL = "cleaning.csv"
RELABELLED = "relabelled"
_RUN_FILE = "model.onnx"
_MOST_WRAPPERS = 8
# Side in pixels that a photo is decoded for, to see whether it can be.
_SIDE = 224
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
        path: path of the file.
        file: path relative to the dataset's root, with forward slashes.
        label: name of the label folder.
        split: "train", "validation" or "test", where a folder or a table prescribes the split; else None.
        scene: scene of the photo in the manifest, or None. Photos of one scene belong together.
        source: site or repository of origin, or None.
        page: address of the web page of origin, or None.
        author: name of the author, or None.
        licence: name of the licence, or None.
    """

    path: Path
    file: str
    label: str
    split: str | None = None
    scene: str | None = None
    source: str | None = None
    page: str | None = None
    author: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The photos of a folder with two labels.

    Attributes:
        root: root folder.
        photos: photos in the order of their relative paths.
        labels: the two label names in alphabetical order.
        skipped: photos that are known not to be usable before any is read, with reasons.
    """

    root: Path
    photos: tuple[LabelledPhoto, ...]
    labels: tuple[str, str]
    skipped: tuple[UnreadablePhoto, ...] = ()


def load_folder(root: str | os.PathLike[str], labels: Sequence[str] | None = None) -> Dataset:
    """List a labelled folder. No photo is opened.

    Hidden files and folders (a leading dot), and files outside the label folders, are left out.

    Args:
        root: root folder.
        labels: expected label names, of which one may have no folder; None for any two names.

    Raises:
        DatasetError: there is no folder; the number of labels is not two; train/validation/test folders lie next to
            label folders; a label is not printable UTF-8; a table is not CSV.
    """
    root = Path(root)
    _check_root(root)
    label_folders = _label_folders(root)
    both = _two_labels(root, [folder.name for _, folder in label_folders], labels)
    known = read_tables(root)
    photos = [
        LabelledPhoto(path, file, folder.name, split, **known.get(file, {}))
        for split, folder in label_folders
        for path in _files(folder)
        for file in [path.relative_to(root).as_posix()]
    ]
    return Dataset(root, tuple(sorted(photos, key=lambda photo: photo.file)), both)


def with_split(dataset: Dataset, table: str | os.PathLike[str]) -> Dataset:
    """Give the photos of a dataset the splits of a CSV table with the columns `file` and `split`.

    A photo that cannot be read may be missing in the table, as `roadclear split` leaves it out. Its split is None.

    Raises:
        DatasetError: there is no table, a photo that can be read is missing in the table, or a split is unknown.
    """
    if not os.path.isfile(table):  # noqa: PTH113, a path that is too long is no file, and no error
        raise DatasetError(f"expected a split table at {str(table)!r}, found none: make it with roadclear split")
    splits = {row["file"]: row.get("split") or "" for row in _rows(Path(table))}
    missing = [photo for photo in dataset.photos if photo.file not in splits]
    first = next((photo.file for photo in missing if _is_readable(photo.path)), None)
    if first is not None:
        raise DatasetError(
            f"{str(table)!r} lacks {len(missing)} of the {len(dataset.photos)} photos, the first being {first!r}: "
            "make it anew with roadclear split"
        )
    unknown = sorted(set(splits.values()) - set(SPLITS))
    if unknown:
        raise DatasetError(
            f"expected one of {', '.join(SPLITS)} in the column `split` of {str(table)!r}, found {unknown[0]!r}: "
            "correct the table"
        )
    photos = tuple(replace(photo, split=splits.get(photo.file)) for photo in dataset.photos)
    return replace(dataset, photos=photos)


def label_names(root: str | os.PathLike[str]) -> tuple[str, str]:
    """Name the two labels of a folder, in alphabetical order. No photo is listed.

    Raises:
        DatasetError: see `load_folder`.
    """
    root = Path(root)
    _check_root(root)
    return _two_labels(root, [folder.name for _, folder in _label_folders(root)], None)


def unwrap(root: Path) -> Path:
    """Find the folder with two label folders, where it is the only one in a folder, as in an unpacked archive.

    Returns:
        The folder; the root where there is no such folder, or the root itself has two labels.
    """
    place = root
    for _ in range(_MOST_WRAPPERS):
        if len({folder.name for _, folder in _label_folders(place)}) == 2:
            return place
        folders = _subfolders(place)
        if len(folders) != 1:
            break
        place = folders[0]
    return root


def _check_root(root: Path) -> None:
    """Refuse what is no folder of photos, and say what was given instead."""
    if not os.path.isdir(root):  # noqa: PTH112, a path that is too long is no folder, and no error
        found = "a file" if os.path.exists(root) else "no folder"  # noqa: PTH110, likewise
        raise DatasetError(f"expected a folder with one subfolder a label, found {found} at {str(root)!r}")
    if os.path.isfile(root / _RUN_FILE):  # noqa: PTH113, a folder that may not be entered is no error yet
        raise DatasetError(
            f"expected a folder with one subfolder a label, found a run at {str(root)!r}: name the folder of photos"
        )


def _label_folders(root: Path) -> list[tuple[str | None, Path]]:
    """The label folders, each with the split that the folder above prescribes, or None."""
    folders = _subfolders(root)
    if folders and all(folder.name.lower() in SPLIT_FOLDERS for folder in folders):
        return [(SPLIT_FOLDERS[folder.name.lower()], label) for folder in folders for label in _subfolders(folder)]
    return [(None, label) for label in folders]


def _subfolders(root: Path) -> list[Path]:
    """Visible subfolders by name, without the one that macOS adds to its ZIP files."""
    try:
        paths = sorted(root.iterdir())
    except OSError as error:
        raise _unlistable(root, error) from error
    return [
        path
        for path in paths
        if os.path.isdir(path) and not path.name.startswith(".") and path.name != "__MACOSX"  # noqa: PTH112
    ]


def _files(folder: Path) -> Iterator[Path]:
    """All files of a label folder."""
    for path in walk(folder):
        if path == folder:
            raise _unlistable(folder)
        yield path


def _unlistable(folder: Path, error: OSError | None = None) -> DatasetError:
    why = f" ({error.strerror})" if error is not None else ""
    return DatasetError(
        f"expected a folder that can be listed, found none at {str(folder)!r}{why}: allow to read it, or move it away"
    )


def _two_labels(root: Path, names: Sequence[str], expected: Sequence[str] | None) -> tuple[str, str]:
    found = sorted(set(names))
    listed = f"{len(found)} ({', '.join(map(repr, found[:6]))})" if found else "none"
    if expected is not None:
        if not found or not set(found) <= set(expected):
            wanted = " and ".join(map(repr, expected))
            advice = _inside(root) or "rename the folders"
            raise DatasetError(f"expected label folders {wanted} in {str(root)!r}, found {listed}: {advice}")
        found = sorted(expected)
    if len(found) != 2:
        raise DatasetError(f"expected two label folders in {str(root)!r}, found {listed}: {_advice(root, found)}")
    for label in found:
        if not label.isprintable() or label != label.encode(errors="replace").decode():
            raise DatasetError(f"expected a label folder with a printable UTF-8 name, found {label!r}: rename it")
    return found[0], found[1]


def _advice(root: Path, found: Sequence[str]) -> str:
    """What to do about a number of label folders other than two."""
    if not found:
        return "make one folder a label and put its photos there"
    if len(found) > 2:
        return "move the others away, or merge them into two"
    return _inside(root) or "add a folder of the other label"


def _inside(root: Path) -> str | None:
    """Advice where the label folders lie deeper; None where they do not."""
    inner = unwrap(root)
    return None if inner == root else f"name the folder {str(inner)!r}, which has two label folders"


def read_tables(root: Path) -> dict[str, dict[str, str | None]]:
    """Scene, source, page, author and licence by file, from manifest.csv and sources.csv."""
    known: dict[str, dict[str, str | None]] = {}
    for row in _rows(root / MANIFEST):
        known[row["file"]] = {
            "scene": row.get("scene") or None,
            "source": row.get("source_repo") or None,
            "licence": row.get("licence") or None,
        }
    for row in _rows(root / SOURCES):
        page = row.get("page_url") or None
        source = site_of(page) or row.get("provider") or None
        details = known.setdefault(row["file"], {})
        details.update(source=source, page=page, author=row.get("author") or None)
        details["licence"] = row.get("licence") or details.get("licence")
    for row in _rows(root / JOURNAL, "to"):
        if row.get("reason") == RELABELLED and row.get("from") in known:
            known.setdefault(row["to"], known[row["from"]])
    return known


def site_of(page: str | None) -> str | None:
    """Return the host of a web page's address, or None."""
    try:
        return urlsplit(page).hostname if page else None
    except ValueError:  # an address such as http://[
        return None


def _rows(table: Path, column: str = "file") -> Iterator[dict[str, str]]:
    """Rows of a table with a file in the column; no rows where there is no table."""
    if not os.path.isfile(table):  # noqa: PTH113, a path that is too long is no file, and no error
        return
    try:
        columns, rows = read_records(table)
    except OSError as error:
        raise DatasetError(
            f"cannot read {str(table)!r}: {error.strerror}; make it readable, or move it away"
        ) from error
    except csv.Error as error:
        raise DatasetError(f"expected a CSV table at {str(table)!r}, found {error}: correct or remove it") from error
    if columns and column not in columns:
        raise DatasetError(
            f"expected a table with commas and a column {column!r} at {str(table)!r}, found the columns "
            f"{columns}: correct or remove it"
        )
    yield from (row for row in rows if row.get(column))


def _is_readable(path: Path) -> bool:
    """Whether a photo can be decoded."""
    try:
        decode(read_bytes(path), _SIDE)
    except PhotoError:
        return False
    return True
