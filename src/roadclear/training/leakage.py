"""What photos that belong together would do to a plain random split: the accuracy that it would have claimed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TEST, TRAIN, VALIDATION, assign_splits, leaking_photos
from roadclear.errors import DatasetError
from roadclear.model.fit import train_linear
from roadclear.training.prepare import PreparedData
from roadclear.utils.arrays import Indices

_SPLITS_COMPARED = 5


@dataclass(frozen=True)
class Leakage:
    """How much a split that parts groups would flatter.

    Attributes:
        look_alike_groups: groups of two or more photos with one content or look.
        look_alike_photos: photos in them.
        groups: groups of two or more photos for any reason (scenes, file names, ... included).
        grouped_photos: photos in them.
        leaking_photos: validation and test photos with a training photo in their group, in the split that is used;
            above 0 only where folders or a file prescribe the split.
        expected_leaks: the same in a plain random split, the mean of 5 splits.
        random_split_accuracy: test accuracy of the linear head in those 5 plain splits, the mean.
        grouped_split_accuracy: the same in 5 splits that keep groups together.
    """

    look_alike_groups: int
    look_alike_photos: int
    groups: int
    grouped_photos: int
    leaking_photos: int
    expected_leaks: float
    random_split_accuracy: float | None
    grouped_split_accuracy: float | None


def measure_leakage(data: PreparedData, seed: int) -> Leakage:
    """Compare splits with and without groups, by the linear head on cached embeddings.

    Args:
        data: the photos; the accuracies are None where there is to be no test split.
        seed: random seed of the compared splits.
    """
    plain = _compare(data, np.arange(len(data.photos)), seed)
    grouped = _compare(data, data.groups, seed)
    look_alike_groups, look_alike_photos = _shared(data.look_alikes)
    several, grouped_photos = _shared(data.groups)
    return Leakage(
        look_alike_groups=look_alike_groups,
        look_alike_photos=look_alike_photos,
        groups=several,
        grouped_photos=grouped_photos,
        leaking_photos=int(leaking_photos(data.groups, data.splits).sum()),
        expected_leaks=plain.leaking_photos,
        random_split_accuracy=plain.accuracy,
        grouped_split_accuracy=grouped.accuracy,
    )


@dataclass(frozen=True)
class _Compared:
    """Means over the compared splits."""

    leaking_photos: float
    accuracy: float | None


def _compare(data: PreparedData, kept_together: Indices, seed: int) -> _Compared:
    """Mean number of leaking photos, and mean accuracy, over splits that keep `kept_together` together."""
    leaking: list[int] = []
    accuracies: list[float] = []
    embeddings, targets = data.embeddings, data.targets
    for number in range(_SPLITS_COMPARED):
        try:
            splits = np.array(
                assign_splits(targets.astype(str).tolist(), kept_together, seed + number, shares=data.shares)
            )
        except DatasetError:  # too few groups for this draw
            continue
        leaking.append(int(leaking_photos(data.groups, splits.tolist()).sum()))
        if TEST in data.shares:
            train, validation, test = (splits == name for name in (TRAIN, VALIDATION, TEST))
            held_out = embeddings[validation], targets[validation]
            head = train_linear([embeddings[train]], targets[train], held_out, seed=seed).head
            accuracies.append(float(np.mean((head.logits(embeddings[test]) > 0) == targets[test])))
    return _Compared(float(np.mean(leaking)) if leaking else 0.0, float(np.mean(accuracies)) if accuracies else None)


def _shared(groups: NDArray[np.intp]) -> tuple[int, int]:
    """Number of groups with two or more photos, and the photos in them."""
    sizes = np.bincount(groups)
    return int(np.sum(sizes >= 2)), int(sizes[sizes >= 2].sum())
