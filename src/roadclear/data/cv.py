"""Folds for scikit-learn's `cross_val_score` that keep near-duplicates together."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold

from roadclear.data.groups import group_ids
from roadclear.data.near_duplicates.groups import group as group_look_alikes
from roadclear.errors import DatasetError, PhotoError
from roadclear.images.phash import fingerprint
from roadclear.images.photo import HeldPhoto, Photo, check_photo_list, held_pixels, hold_or_error
from roadclear.utils.arrays import Indices
from roadclear.utils.threads import ordered_map, worker_threads

_SIZE = 224


class LookAlikeFolds(StratifiedGroupKFold):  # type: ignore[misc]
    """k folds for scikit-learn that keep near-duplicates, and groups of the user, on one side of each fold.

    Plain folds put copies of a training photo into the test, and the score is then too good. Photos are grouped by
    perceptual hashes, which find copies that were resized, compressed again, recoloured, mirrored or marked. Hashes
    miss most crops and rotations, and other photos of one scene: name these by `groups`. `roadclear.cross_validate`
    compares embeddings too, and finds more. docs/look-alikes.md has the shares that each sign finds.

    Folds have about equal shares of each label (scikit-learn's `StratifiedGroupKFold`). Equal arguments give equal
    folds. A photo that cannot be read is a group of its own.

    Args:
        n_splits: number of folds, at least 2.
        shuffle: whether groups are shuffled before they are assigned to folds.
        random_state: seed of the shuffling.

    Example:
        >>> cross_val_score(RoadClassifier(), paths, labels, cv=LookAlikeFolds(5))  # doctest: +SKIP
        array([0.95, 0.93, 0.97, 0.95, 0.94])
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = True, random_state: int | np.random.RandomState | None = 0
    ) -> None:
        # Without shuffling there is nothing to seed, and scikit-learn refuses a seed then.
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state if shuffle else None)

    def split(
        self, X: Iterable[Photo], y: ArrayLike, groups: Iterable[Hashable] | None = None
    ) -> Iterator[tuple[Indices, Indices]]:
        """Yield the training and the test photos of each fold.

        Args:
            X: [n] photos, as `roadclear.RoadClassifier.fit` takes them.
            y: [n] labels.
            groups: [n] groups of the user, for example cameras or scenes. None in the place of a photo's group: the
                photo belongs to no group.

        Yields:
            Positions of the training photos, int [n - m], and of the test photos, int [m].

        Raises:
            TypeError, ValueError: the lengths differ, `X` is no list, or an object in it is no photo.
            DatasetError: a label has fewer groups than there are folds.
        """
        check_photo_list(X)
        photos, labels = list(X), np.asarray(y)
        if labels.shape != (len(photos),):
            raise ValueError(f"expected one label for each of the {len(photos)} photos, got labels {labels.shape}")
        numbers = look_alike_groups(photos, groups)
        classes = np.unique(labels)
        for label in classes:
            found = len(np.unique(numbers[labels == label]))
            if found < self.n_splits:
                raise self._too_few(label, found)
        folds = list(super().split(np.zeros(len(photos)), labels, numbers))
        for _, test in folds:
            for label in np.setdiff1d(classes, labels[test]):
                raise self._too_few(label, len(np.unique(numbers[labels == label])))
        yield from folds

    def _too_few(self, label: Any, found: int) -> DatasetError:
        return DatasetError(
            f"expected {str(label)!r} photos in each of {self.n_splits} folds, found {found} groups of them: "
            "take fewer folds, or add photos from more places"
        )


def look_alike_groups(photos: Iterable[Photo], groups: Iterable[Hashable] | None = None) -> Indices:
    """Number the groups of photos that look alike by their perceptual hashes, or share a group of the user.

    Args:
        photos: [n] photos.
        groups: [n] groups of the user; None in the place of a photo's group: the photo belongs to no group.

    Returns:
        int [n], numbers of connected components, in order of first appearance.

    Raises:
        TypeError, ValueError: an object is no photo, or the lengths differ.
    """
    hashes = list(ordered_map(_hash, map(hold_or_error, photos), worker_threads()))
    named = [None] * len(hashes) if groups is None else list(groups)
    if len(named) != len(hashes):
        raise ValueError(f"expected one group for each of the {len(hashes)} photos, got {len(named)}")
    links: list[list[Hashable]] = [[] if name is None else [("group", name)] for name in named]
    readable = [number for number, found in enumerate(hashes) if found is not None]
    if readable:
        alike = group_look_alikes(np.stack([found for found in hashes if found is not None]), None)
        for number, component in zip(readable, alike.tolist(), strict=True):
            links[number].append(("look", component))
    return group_ids(links)


def _hash(photo: HeldPhoto | PhotoError) -> NDArray[np.uint64] | None:
    """The fingerprint of a photo, uint64 [2], of the square that a training compares too; None if unreadable."""
    try:
        return None if isinstance(photo, PhotoError) else fingerprint(held_pixels(photo, _SIZE))
    except PhotoError:
        return None
