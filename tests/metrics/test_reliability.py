"""What a model says beside the label is counted as it is answered."""

import numpy as np
import pytest

from roadclear.metrics.reliability import measure_reliability
from roadclear.model.decision.conformal import UnsureBand

POSITIVE = np.array([True, True, True, False, False])
AFTER = np.array([0.9, 0.45, 0.1, 0.55, 0.2])
BEFORE = np.array([0.8, 0.45, 0.2, 0.55, 0.3])
UNFAMILIAR = np.array([False, False, True, False, False])


@pytest.mark.parametrize(
    ("band", "unsure", "crossing", "empty"),
    [
        # Nothing is unsure: one of three positive photos is right, one of two negative ones.
        ((0.5, 0.5), 0, 1, 1),
        # 0.45 and 0.55 are too close to call; both would have been wrong.
        ((0.4, 0.6), 2, 2, 2),
        # 0.1 is unsure as well, and 0.2, which was right anyway.
        ((0.1, 0.6), 4, 3, 2),
    ],
)
def test_a_worked_example(band: tuple[float, float], unsure: int, crossing: int, empty: int) -> None:
    found = measure_reliability(
        POSITIVE, BEFORE, AFTER, 0.5, UnsureBand(*band, 0.95), UNFAMILIAR, ("crossing", "empty")
    )
    assert (found.unsure.value, found.unsure.n) == (unsure / 5, 5)
    assert (found.covered["crossing"].value, found.covered["crossing"].n) == (crossing / 3, 3)
    assert (found.covered["empty"].value, found.covered["empty"].n) == (empty / 2, 2)
    assert found.unfamiliar.value == 1 / 5
    assert found.before.brier == pytest.approx(np.mean((BEFORE - POSITIVE) ** 2))
    assert found.after.brier == pytest.approx(np.mean((AFTER - POSITIVE) ** 2))
