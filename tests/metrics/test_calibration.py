"""Calibration is measured in ten bins, each photo in one of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.metrics.calibration import measure_calibration


def test_a_worked_example() -> None:
    positive = np.array([True, False, True, True])
    found = measure_calibration(positive, np.array([0.25, 0.25, 0.95, 1.0]))
    assert [(b.low, b.high, b.n, b.probability, b.share) for b in found.bins] == [
        (0.2, 0.3, 2, 0.25, 0.5),
        (0.9, 1.0, 2, 0.975, 1.0),
    ]
    assert found.expected_error == pytest.approx((2 * 0.25 + 2 * 0.025) / 4)
    assert found.brier == pytest.approx((0.75**2 + 0.25**2 + 0.05**2) / 4)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=50))
def test_every_photo_is_in_one_bin(rows: list[tuple[bool, float]]) -> None:
    positive, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = measure_calibration(positive, probability)
    assert sum(b.n for b in found.bins) == len(rows)
    assert sum(b.n * b.share for b in found.bins) == pytest.approx(positive.sum())
    assert sum(b.n * b.probability for b in found.bins) == pytest.approx(probability.sum(), abs=1e-6)
    assert all(b.low <= b.probability + 1e-9 and b.probability <= b.high + 1e-9 for b in found.bins)
    assert all(b.ci95[0] <= b.share <= b.ci95[1] for b in found.bins)
    assert 0 <= found.expected_error <= 1
    assert 0 <= found.brier <= 1
