"""Photos that look alike, by perceptual hashes (a first version: all pairs)."""

import numpy as np
from numpy.typing import NDArray

from roadclear.split import group_ids


def look_alikes(fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32] | None) -> NDArray[np.intp]:
    """See the module."""
    d = np.min([np.bitwise_count(fingerprints[:, None, 0] ^ fingerprints[None, :, k]) for k in range(2)], axis=0)
    i, j = np.nonzero(np.triu(d <= 6, 1))
    return np.column_stack([i, j])


def group(fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32] | None) -> NDArray[np.intp]:
    """See the module."""
    ties: list[list[tuple[int, int]]] = [[] for _ in fingerprints]
    for i, j in look_alikes(fingerprints, embeddings).tolist():
        ties[i].append((i, j))
        ties[j].append((i, j))
    return group_ids(ties)
