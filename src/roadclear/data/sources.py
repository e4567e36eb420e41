"""Labelled photos from a folder, a ZIP archive, shards or a CSV table of labels, here or by an address."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from roadclear.data.archive import is_archive, unpack
from roadclear.data.dataset import Dataset, LabelledPhoto, label_names, load_folder, read_tables, unwrap
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.opening import TABLE, holds_results, is_sharded, read_labels, refused_row
from roadclear.data.unpacked import Unpacked, root_of_unpacked, unpack_source
from roadclear.errors import DatasetError
from roadclear.images.decode import UnreadablePhoto
from roadclear.utils.storage import name_of


def load_photos(
    source: str | os.PathLike[str], labels: Sequence[str] | None = None, columns: SourceSettings | None = None
) -> Dataset:
    """List labelled photos. No photo is decoded.

    A table has the columns `file` and `label`, and optionally `split`. A file is a path relative to the table's
    folder. An archive, photos of shards and remote photos are copied into a temporary folder until the program ends.

    Args:
        source: a folder as `load_folder` takes it, a ZIP archive of such a folder, a CSV table of labels, or a source
            as `roadclear.data.shards.opening.open_source` takes it.
        labels: expected label names, of which one may have no photo; None for any two names.
        columns: columns with photos and labels, in Parquet files and tables.

    Raises:
        DatasetError: see `load_folder`, `roadclear.data.archive.unpack`, `load_table` and `open_source`.
        OutputError: an archive or a shard cannot be unpacked.
        OptionError: pyarrow is needed and not installed.
    """
    path = Path(source)
    if is_sharded(source):
        return _labelled(name_of(source), unpack_source(source, columns), labels)
    if is_table(path):
        return load_table(path, labels, columns)
    return load_folder(root_of(path), labels)


def has_files(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a folder of photo files on this machine. Photos of other sources are never moved."""
    return os.path.isdir(source) and not is_sharded(source)  # noqa: PTH112, any name may be given


def is_table(path: Path) -> bool:
    """Whether a path is a regular file that is named .csv."""
    return path.suffix.lower() == TABLE and path.is_file()


def root_of(source: str | os.PathLike[str]) -> Path:
    """Find the folder that names of photos are relative to: the folder, a table's folder, or an unpacked source.

    A folder of features has no photos, and is returned itself.

    Raises:
        DatasetError, OutputError, OptionError: an archive or a shard cannot be unpacked.
    """
    path = Path(source)
    if is_sharded(source):
        return path if holds_results(source) else root_of_unpacked(source)
    if is_table(path):
        return path.parent
    return unwrap(unpack(path)) if is_archive(path) else path


def names_of_labels(source: str | os.PathLike[str], columns: SourceSettings | None = None) -> tuple[str, str]:
    """Name the two labels of labelled photos, in alphabetical order.

    Raises:
        DatasetError, OutputError, OptionError: see `load_photos`.
    """
    path = Path(source)
    if is_sharded(source) or is_table(path):
        return load_photos(source, columns=columns).labels
    return label_names(root_of(path))


def load_table(table: Path, labels: Sequence[str] | None = None, columns: SourceSettings | None = None) -> Dataset:
    """List the photos of a CSV table of labels. Files beside it that the table does not name are left out.

    Args:
        table: path of the table.
        labels: see `load_photos`.
        columns: columns with files and labels.

    Raises:
        DatasetError: the table cannot be read, lacks a column, has other than two labels, names a file under both
            labels or without a label, has an unknown split, or names a file outside its folder.
    """
    known = read_tables(table.parent)
    photos: dict[str, LabelledPhoto] = {}
    for number, file, label, split in read_labels(table, table, columns):
        if label is None:
            raise refused_row(table, number, "a label", "none")
        photo = LabelledPhoto(table.parent / file, file, label, split, **known.get(file, {}))
        if photos.setdefault(file, photo) != photo:
            raise refused_row(table, number, "one label and one split a file", f"others for {file!r}")
    both = two_labels(str(table), (photo.label for photo in photos.values()), labels)
    return Dataset(table.parent, tuple(photos[file] for file in sorted(photos)), both)


def two_labels(source: str, found: Iterable[str], expected: Sequence[str] | None = None) -> tuple[str, str]:
    """Return the two labels of photos in alphabetical order, or refuse other labels.

    Args:
        source: where the photos are from, for the message.
        found: labels of the photos.
        expected: expected labels, of which one may have no photo; None for any two.

    Raises:
        DatasetError: there are other than two labels, or a label cannot be printed.
    """
    different = set(found)
    names = sorted(different if expected is None or not different or not different <= set(expected) else expected)
    if len(names) != 2 or (expected is not None and set(names) != set(expected)):
        wanted = "two labels" if expected is None else "the labels " + " and ".join(map(repr, expected))
        listed = ", ".join(map(repr, names[:6])) or "none"
        raise DatasetError(f"expected {wanted} in {source!r}, found {len(names)} ({listed}): correct the labels")
    for label in names:
        if not label.isprintable() or label != label.encode(errors="replace").decode():
            raise DatasetError(f"expected printable labels in {source!r}, found {label!r}: correct the labels")
    return names[0], names[1]


def _labelled(source: str, unpacked: Unpacked, labels: Sequence[str] | None) -> Dataset:
    """Photos of an unpacked source. Photos without a label are left out, with a reason."""
    photos = tuple(photo for photo in unpacked.photos if photo.label)
    bare = tuple(UnreadablePhoto(Path(photo.file), "it has no label") for photo in unpacked.photos if not photo.label)
    if not photos and unpacked.skipped:
        first = unpacked.skipped[0]
        raise DatasetError(f"expected photos in {source!r}, found none that can be read: {first.file}: {first.reason}")
    return Dataset(
        unpacked.root, photos, two_labels(source, (photo.label for photo in photos), labels), (*unpacked.skipped, *bare)
    )
