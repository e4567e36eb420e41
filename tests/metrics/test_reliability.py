"""Reliability counts the answers of a model: correct, unsure, unfamiliar."""

import numpy as np
import pytest

from roadclear.metrics.reliability import Answers, measure_reliability

POSITIVE = np.array([True, True, True, False, False])
AFTER = np.array([0.9, 0.45, 0.1, 0.55, 0.2])
BEFORE = np.array([0.8, 0.45, 0.2, 0.55, 0.3])
UNFAMILIAR = np.array([False, False, True, False, False])


@pytest.mark.parametrize(
    ("unsure", "crossing", "empty"),
    [
        # Nothing is unsure: one of three positive photos is right, one of two negative ones.
        ([0, 0, 0, 0, 0], 1, 1),
        # 0.45 and 0.55 are too close to call; both would have been wrong.
        ([0, 1, 0, 1, 0], 2, 2),
        # 0.1 is unsure as well, and 0.2, which was right anyway.
        ([0, 1, 1, 1, 1], 3, 2),
    ],
)
def test_a_worked_example(unsure: list[int], crossing: int, empty: int) -> None:
    answers = Answers(AFTER >= 0.5, np.array(unsure, dtype=bool), UNFAMILIAR)
    found = measure_reliability(POSITIVE, BEFORE, AFTER, answers, ("crossing", "empty"))
    assert (found.unsure.value, found.unsure.n) == (sum(unsure) / 5, 5)
    assert (found.covered["crossing"].value, found.covered["crossing"].n) == (crossing / 3, 3)
    assert (found.covered["empty"].value, found.covered["empty"].n) == (empty / 2, 2)
    assert found.unfamiliar.value == 1 / 5
    assert found.before.brier == pytest.approx(np.mean((BEFORE - POSITIVE) ** 2))
    assert found.after.brier == pytest.approx(np.mean((AFTER - POSITIVE) ** 2))
