"""Copies of some photos of the user, so that a demonstration leaves the photos themselves unchanged."""

from pathlib import Path

import numpy as np

from roadclear.data.dataset import MANIFEST, SOURCES, Dataset, LabelledPhoto, load_folder
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import read_bytes

LEAST_PER_LABEL = 20


def copy_photos(source: Path, folder: Path, count: int, seed: int) -> int:
    """Copy photos, with manifest.csv and sources.csv, under the same relative paths.

    Args:
        source: labelled folder, see `roadclear.data.dataset`. The folder is only read.
        folder: new folder for the copies.
        count: approximate number of photos. Each label keeps its share, and has at least 20 photos. Files that cannot
            be read are skipped.
        seed: random seed of the choice.

    Returns:
        Number of copied photos.

    Raises:
        DatasetError: the source is not a folder of two labels, or a label has fewer than 20 files.
        OutputError: the copies cannot be written.
    """
    dataset = load_folder(source)
    copied = 0
    try:
        for photo in _choose(dataset, count, seed):
            copied += _copy(photo.path, folder / photo.file)
        for table in (MANIFEST, SOURCES):
            _copy(source / table, folder / table)
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror}; choose another place") from error
    return copied


def _choose(dataset: Dataset, count: int, seed: int) -> list[LabelledPhoto]:
    random = np.random.default_rng(seed)
    chosen: list[LabelledPhoto] = []
    for label in dataset.labels:
        photos = [photo for photo in dataset.photos if photo.label == label]
        if len(photos) < LEAST_PER_LABEL:
            raise DatasetError(
                f"expected at least {LEAST_PER_LABEL} photos of each label in {str(dataset.root)!r}, found "
                f"{len(photos)} of {label!r}: add photos, or leave out --photos to use drawn scenes"
            )
        share = max(LEAST_PER_LABEL, round(count * len(photos) / len(dataset.photos)))
        chosen += [photos[i] for i in random.permutation(len(photos))[:share]]
    return chosen


def _copy(source: Path, target: Path) -> bool:
    """Copy a regular file or the target of a link. Returns whether there was a file."""
    try:
        data = read_bytes(source)
    except PhotoError:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return True
