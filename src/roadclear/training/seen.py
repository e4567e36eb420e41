"""Which photos a model has seen: those that its run trained on, or stopped, calibrated and set its threshold by."""

import csv
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.split import TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.training.run_folder import CONFIG_FILE, read_config

SPLITS_FILE = "splits.csv"


def photos_seen(run: str | os.PathLike[str], photos: Sequence[LabelledPhoto]) -> frozenset[str] | None:
    """The names (`file`) of the photos that were in the train or validation part of a run.

    A photo counts when it is one of these files, or has the content of one. Where the folder that was trained on is no
    longer there, photos are known by their names alone.

    Args:
        run: a run folder, or the model file in one.
        photos: to look among.

    Returns:
        Their names, or None where it cannot be known: a model file alone does not tell.

    Raises:
        DatasetError: the run's split table cannot be read.
        OptionError: its configuration cannot be read.
    """
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    if not ((folder / SPLITS_FILE).is_file() and (folder / CONFIG_FILE).is_file()):
        return None
    names = _names_seen(folder / SPLITS_FILE)
    root = read_config(folder / CONFIG_FILE)[0]
    if root is None or not Path(root).is_dir():
        return frozenset(photo.file for photo in photos if photo.file in names)
    originals = {(Path(root) / name).resolve() for name in names}
    here = {photo.file for photo in photos if photo.path.resolve() in originals}
    return frozenset(here | _with_content_of(originals, [photo for photo in photos if photo.file not in here]))


def _names_seen(table: Path) -> frozenset[str]:
    try:
        with table.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            return frozenset(row["file"] for row in csv.DictReader(lines) if row["split"] in (TRAIN, VALIDATION))
    except (OSError, csv.Error, KeyError) as error:
        raise DatasetError(
            f"expected the split of a run, with columns 'file' and 'split', at {str(table)!r}: train it again"
        ) from error


def _with_content_of(originals: Iterable[Path], photos: Sequence[LabelledPhoto]) -> set[str]:
    """Photos with the content of an original; only files of one size are read."""
    sizes = {photo.file: _size(photo.path) for photo in photos}
    common = set(sizes.values()) - {None}
    contents = {_hash(original) for original in originals if _size(original) in common}
    wanted = {_size(original) for original in originals} - {None}
    return {photo.file for photo in photos if sizes[photo.file] in wanted and _hash(photo.path) in contents - {None}}


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
