"""Cells of photos that may look alike, where there are too many photos to compare all with all.

A tree of k-means divides the photos (Nister and Stewenius 2006, "Scalable Recognition with a Vocabulary Tree"). On
every level a photo comes into the two nearest cells, so a pair near a border is parted less often (Liu, Moore, Gray and
Yang 2004, "An Investigation of Practical Approximate Nearest Neighbor Algorithms", section 4). Time and memory grow
with the number of photos, since the depth is bounded.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from roadclear.data.near_duplicates.union_find import Items

MOST_IN_CELL = 1024
_LEVELS = 3
_MOST_CHILDREN = 64
_FEWEST_CHILDREN = 8
_SAMPLED_A_CHILD = 32
_ROUNDS = 5
_ROWS = 8192
_SEED = 0


def find_cells(vectors: NDArray[np.float32]) -> Iterator[Items]:
    """Divide photos into cells of at most 1,024 photos that overlap.

    Photos that three levels do not divide, such as many frames of one camera, are cut along a line into pieces that
    overlap by half.

    Args:
        vectors: float32 [n, d]. Photos that look alike have vectors that are near each other.

    Yields:
        Photos of a cell, int [m], ascending.
    """
    draw = np.random.default_rng(_SEED)
    waiting = [(np.arange(len(vectors)), 0)]
    while waiting:
        members, level = waiting.pop()
        if len(members) <= MOST_IN_CELL:
            if len(members) > 1:
                yield members
        elif level == _LEVELS:
            yield from _cut(vectors, members)
        else:
            waiting += [(part, level + 1) for part in _divide(vectors, members, draw)]


def _divide(vectors: NDArray[np.float32], members: Items, draw: np.random.Generator) -> list[Items]:
    """Divide photos by k-means, each into the cells of the two nearest means."""
    children = int(np.clip(2 * len(members) // MOST_IN_CELL, _FEWEST_CHILDREN, _MOST_CHILDREN))
    sample = vectors[draw.permutation(members)[: _SAMPLED_A_CHILD * children]]
    means = sample[:children].copy()
    for _ in range(_ROUNDS):
        nearest = _squares(sample, means).argmin(axis=1)
        for child in np.unique(nearest).tolist():
            means[child] = sample[nearest == child].mean(axis=0)
    nearest_two = np.concatenate(
        [
            np.argpartition(_squares(vectors[members[start : start + _ROWS]], means), 1, axis=1)[:, :2]
            for start in range(0, len(members), _ROWS)
        ]
    )
    return [members[(nearest_two == child).any(axis=1)] for child in range(children)]


def _squares(vectors: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute squared distances to the means, float32 [n, k], less the squared length of each vector."""
    return np.asarray(np.einsum("ij,ij->i", means, means) - 2 * (vectors @ means.T))


def _cut(vectors: NDArray[np.float32], members: Items) -> Iterator[Items]:
    """Cut photos into pieces along the line from the first photo to the photo that is farthest from the first."""
    first = vectors[members[0]]
    from_first = _squares(vectors[members], first[np.newaxis])[:, 0] + np.square(vectors[members]).sum(axis=1)
    line = vectors[members[from_first.argmax()]] - first
    order = members[np.argsort(vectors[members] @ line, kind="stable")]
    for start in range(0, len(order) - MOST_IN_CELL // 2, MOST_IN_CELL // 2):
        yield np.sort(order[start : start + MOST_IN_CELL])
