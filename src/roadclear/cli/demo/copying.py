"""Some of a person's photos, copied: what becomes of the copies leaves the photos as they are."""

from pathlib import Path

import numpy as np

from roadclear.data.dataset import MANIFEST, SOURCES, Dataset, LabelledPhoto, load_folder
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import read_bytes

LEAST_PER_LABEL = 20


def copy_photos(source: Path, folder: Path, count: int, seed: int) -> int:
    """Copy photos and the tables that tell of them, under the same relative paths.

    Args:
        source: a labelled folder, see `roadclear.data.dataset`. Only read.
        folder: to be made.
        count: of photos, about; of the labels as many as their shares are, and at least 20. Files that cannot be read
            are passed over.
        seed: of the choice.

    Returns:
        How many photos were copied.

    Raises:
        DatasetError: not a folder of two labels, or less than 20 files under a label.
        OutputError: the copies cannot be written.
    """
    dataset = load_folder(source)
    copied = 0
    try:
        for photo in _drawn(dataset, count, seed):
            copied += _copy(photo.path, folder / photo.file)
        for table in (MANIFEST, SOURCES):
            _copy(source / table, folder / table)
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror}; choose another place") from error
    return copied


def _drawn(dataset: Dataset, count: int, seed: int) -> list[LabelledPhoto]:
    chance = np.random.default_rng(seed)
    drawn: list[LabelledPhoto] = []
    for label in dataset.labels:
        photos = [photo for photo in dataset.photos if photo.label == label]
        if len(photos) < LEAST_PER_LABEL:
            raise DatasetError(
                f"expected at least {LEAST_PER_LABEL} photos of each label in {str(dataset.root)!r}, found "
                f"{len(photos)} of {label!r}: add some, or leave out --photos to have scenes drawn"
            )
        share = max(LEAST_PER_LABEL, round(count * len(photos) / len(dataset.photos)))
        drawn += [photos[i] for i in chance.permutation(len(photos))[:share]]
    return drawn


def _copy(source: Path, target: Path) -> bool:
    """Copy a regular file, or what a link leads to; whether there was one."""
    try:
        data = read_bytes(source)
    except PhotoError:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return True
