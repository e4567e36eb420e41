"""Names for the arrays that rooms hand to each other, and unit vectors."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""float64, of any shape."""

Bools = NDArray[np.bool_]
"""bool, of any shape."""

Indices = NDArray[np.intp]
"""Positions in another array, or numbers of groups."""

Probabilities = NDArray[np.float32] | NDArray[np.float64]
"""[n], probability of the positive class, in [0, 1]."""

Embeddings = NDArray[np.float32]
"""[n, 1280], one row per photo."""

Targets = NDArray[np.int64]
"""[n], 1 for a photo of the positive class, else 0."""


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1, float32 [n, d]. Vectors of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(vectors, lengths, out=vectors.copy(), where=lengths > 0)
    return scaled
