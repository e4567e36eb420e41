"""Unit vectors have length 1, and a vector of zeros stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from roadclear.utils.arrays import unit

VECTORS = arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 8)), elements=st.floats(-1e3, 1e3, width=32))


@given(VECTORS)
def test_lengths_are_one_or_zero(vectors: NDArray[np.float32]) -> None:
    before = vectors.copy()
    scaled = unit(vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    far = lengths > 1e-15  # the square of a shorter vector is below what float32 can hold
    assert (scaled.dtype, scaled.shape) == (np.float32, vectors.shape)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1)[far], 1, atol=1e-3)
    assert (scaled[~vectors.any(axis=1)] == 0).all()
    assert (vectors == before).all()


def test_directions_stay() -> None:
    np.testing.assert_allclose(unit(np.array([[3, 4], [0, 0], [-2, 0]], np.float32)), [[0.6, 0.8], [0, 0], [-1, 0]])
