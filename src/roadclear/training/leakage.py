"""Leakage: test photos that training has seen, splits that overstate the accuracy, and photos under both labels."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TEST, TRAIN, VALIDATION, assign_splits, leaking_photos
from roadclear.errors import DatasetError
from roadclear.model.fit import train_linears
from roadclear.training.prepare import PreparedData
from roadclear.utils.arrays import Bools, Indices
from roadclear.utils.threads import available_cores, one_thread, ordered_map

_SPLITS_COMPARED = 5


@dataclass(frozen=True)
class Leakage:
    """Leakage in random splits, compared with splits that keep groups together.

    Attributes:
        look_alike_groups: number of groups of two or more near-duplicates.
        look_alike_photos: number of photos in the groups of near-duplicates.
        groups: number of groups of two or more photos, by any link (scenes, file names, ... included).
        grouped_photos: number of photos in groups of two or more photos.
        leaking_photos: number of validation and test photos with a training photo in their group, in the used split.
            Above 0 only where folders or a table prescribe the split.
        expected_leaks: mean number of leaking photos in 5 random splits.
        random_split_accuracy: mean test accuracy of the linear head in the 5 random splits; None without test split.
        grouped_split_accuracy: mean test accuracy of the linear head in 5 splits that keep groups together; None
            without test split.
        leaking_test_photos: number of the leaking photos in the test split.
        sample: number of photos that the compared splits were drawn of, where they are a sample of many photos; None
            for all photos. `expected_leaks` is scaled to all photos.
    """

    look_alike_groups: int
    look_alike_photos: int
    groups: int
    grouped_photos: int
    leaking_photos: int
    expected_leaks: float
    random_split_accuracy: float | None
    grouped_split_accuracy: float | None
    leaking_test_photos: int
    sample: int | None = None


def measure_leakage(data: PreparedData, seed: int) -> Leakage:
    """Compare random splits with splits that keep groups together, by the linear head on embeddings.

    Args:
        data: prepared photos.
        seed: random seed of the compared splits.
    """
    compared = data.sampled(seed)
    kept_together = np.arange(len(compared.photos)), compared.groups
    with one_thread():
        random, grouped = ordered_map(partial(_compare, compared, seed=seed), kept_together, available_cores())
    look_alike_groups, look_alike_photos = _shared(data.look_alikes)
    several, grouped_photos = _shared(data.groups)
    leaking = leaking_photos(data.groups, data.splits)
    return Leakage(
        look_alike_groups=look_alike_groups,
        look_alike_photos=look_alike_photos,
        groups=several,
        grouped_photos=grouped_photos,
        leaking_photos=int(leaking.sum()),
        leaking_test_photos=int(np.sum(leaking & data.is_in(TEST))),
        expected_leaks=random.leaking_photos * (len(data.photos) / len(compared.photos)),
        random_split_accuracy=random.accuracy,
        grouped_split_accuracy=grouped.accuracy,
        sample=len(compared.photos) if compared is not data else None,
    )


def find_label_conflicts(data: PreparedData) -> tuple[tuple[str, ...], ...]:
    """Find photos of the same content under both labels.

    Returns:
        For each such content, the relative paths of its files. At least one of their labels is wrong.
    """
    firsts: dict[str, int] = {}
    by_content: dict[str, list[int]] = {}
    for number, sha256 in enumerate(data.hashes):
        first = firsts.setdefault(sha256, number)
        if first != number:
            by_content.setdefault(sha256, [first]).append(number)
    return tuple(
        tuple(data.photos[number].file for number in numbers)
        for numbers in sorted(by_content.values())
        if len({data.photos[number].label for number in numbers}) > 1
    )


@dataclass(frozen=True)
class _Compared:
    """Means over the compared splits."""

    leaking_photos: float
    accuracy: float | None


def _compare(data: PreparedData, kept_together: Indices, seed: int) -> _Compared:
    """Measure the mean number of leaking photos and the mean accuracy, over splits that keep `kept_together`."""
    leaking: list[int] = []
    drawn: list[tuple[Bools, Bools, Bools]] = []
    labels = data.targets.astype(str).tolist()
    for number in range(_SPLITS_COMPARED):
        try:
            splits = np.array(assign_splits(labels, kept_together, seed + number, shares=data.shares))
        except DatasetError:  # too few groups for this draw
            continue
        leaking.append(int(leaking_photos(data.groups, splits.tolist()).sum()))
        drawn.append((splits == TRAIN, splits == VALIDATION, splits == TEST))
    accuracy = _mean_accuracy(data, drawn) if TEST in data.shares and drawn else None
    return _Compared(float(np.mean(leaking)) if leaking else 0.0, accuracy)


def _mean_accuracy(data: PreparedData, splits: list[tuple[Bools, Bools, Bools]]) -> float:
    """Train linear heads on splits, and compute the mean of their test accuracies."""
    parts = [(np.flatnonzero(train), np.flatnonzero(validation)) for train, validation, _ in splits]
    trained = train_linears([data.embeddings], data.targets, parts)
    return float(
        np.mean(
            [
                np.mean((each.head.logits(data.embeddings[test]) > 0) == data.targets[test])
                for each, (_, _, test) in zip(trained, splits, strict=True)
            ]
        )
    )


def _shared(groups: NDArray[np.intp]) -> tuple[int, int]:
    """Count groups with two or more photos, and the photos in these groups."""
    sizes = np.bincount(groups)
    return int(np.sum(sizes >= 2)), int(sizes[sizes >= 2].sum())
