"""What photos that belong together would do to a plain random split: the accuracy that it would have claimed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TEST, TRAIN, VALIDATION, split, straddlers
from roadclear.errors import DatasetError
from roadclear.model.heads import Embeddings, Targets, fit_linear

_SPLITS_COMPARED = 5


@dataclass(frozen=True)
class Leakage:
    """How much a split that parts groups would flatter.

    Attributes:
        look_alike_groups: groups of two or more photos with one content or look.
        look_alike_photos: photos in them.
        groups: groups of two or more photos for any reason (scenes, file names, ... included).
        grouped_photos: photos in them.
        straddling: validation and test photos with a training photo in their group, in the split that is used;
            above 0 only where folders or a file prescribe the split.
        would_straddle: the same in a plain random split, the mean of 5 splits.
        random_split_accuracy: test accuracy of the linear head in those 5 plain splits, the mean.
        grouped_split_accuracy: the same in 5 splits that keep groups together.
    """

    look_alike_groups: int
    look_alike_photos: int
    groups: int
    grouped_photos: int
    straddling: int
    would_straddle: float
    random_split_accuracy: float | None
    grouped_split_accuracy: float | None


def measure_leakage(
    embeddings: Embeddings,
    targets: Targets,
    groups: NDArray[np.intp],
    look_alikes: NDArray[np.intp],
    parts: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
) -> Leakage:
    """Compare splits with and without groups, by the linear head on cached embeddings.

    Args:
        embeddings: plain, float32 [n, 1280].
        targets: int [n].
        groups: int [n], what the split keeps together.
        look_alikes: int [n], the components of content and look alone.
        parts: [n], the split that is used.
        shares: part -> its share; the accuracies are None where there is no test part.
        seed: of the splits compared.
    """
    alone = np.arange(len(targets))
    plain = _compare(embeddings, targets, alone, groups, shares, seed)
    grouped = _compare(embeddings, targets, groups, groups, shares, seed)
    look_alike_groups, look_alike_photos = _shared(look_alikes)
    several, grouped_photos = _shared(groups)
    return Leakage(
        look_alike_groups=look_alike_groups,
        look_alike_photos=look_alike_photos,
        groups=several,
        grouped_photos=grouped_photos,
        straddling=int(straddlers(groups, parts).sum()),
        would_straddle=plain.straddling,
        random_split_accuracy=plain.accuracy,
        grouped_split_accuracy=grouped.accuracy,
    )


@dataclass(frozen=True)
class _Compared:
    straddling: float
    accuracy: float | None


def _compare(
    embeddings: Embeddings,
    targets: Targets,
    kept_together: NDArray[np.intp],
    groups: NDArray[np.intp],
    shares: Mapping[str, float],
    seed: int,
) -> _Compared:
    """Mean number of straddlers of `groups`, and mean accuracy, over splits that keep `kept_together` together."""
    straddling: list[int] = []
    accuracies: list[float] = []
    for number in range(_SPLITS_COMPARED):
        try:
            parts = np.array(split(targets.astype(str).tolist(), kept_together, seed + number, shares=shares))
        except DatasetError:  # too few groups for this draw
            continue
        straddling.append(int(straddlers(groups, parts.tolist()).sum()))
        if TEST in shares:
            train, validation, test = (parts == part for part in (TRAIN, VALIDATION, TEST))
            held_out = embeddings[validation], targets[validation]
            head = fit_linear([embeddings[train]], targets[train], held_out, seed=seed).head
            accuracies.append(float(np.mean((head.logits(embeddings[test]) > 0) == targets[test])))
    return _Compared(
        float(np.mean(straddling)) if straddling else 0.0, float(np.mean(accuracies)) if accuracies else None
    )


def _shared(groups: NDArray[np.intp]) -> tuple[int, int]:
    """Number of groups with two or more photos, and the photos in them."""
    sizes = np.bincount(groups)
    return int(np.sum(sizes >= 2)), int(sizes[sizes >= 2].sum())
