"""The interval of the calibration error holds the truth as often as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from roadclear.metrics.calibration import BINS, Calibration, measure_calibration
from roadclear.utils.arrays import Bools, Floats

FACTORS = {"calibrated": 1.0, "too sure": 2.0, "not sure enough": 0.6}


def drawn(draw: np.random.Generator, scenes: int, photos: int, factor: float) -> tuple[Bools, Floats, Floats]:
    """Truth, probability and true chance of photos. Photos of one scene have one chance, and one truth."""
    logits = np.repeat(draw.normal(0, 2.5, scenes), photos)
    chance = expit(logits)
    return np.repeat(draw.random(scenes), photos) < chance, expit(factor * logits), chance


def true_error(factor: float) -> float:
    _, probability, chance = drawn(np.random.default_rng(0), 300_000, 1, factor)
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(number, probability - chance, BINS)).sum() / len(chance))


def holds(result: Calibration, truth: float) -> bool:
    return result.ci95[0] <= truth <= result.ci95[1]


@pytest.mark.parametrize(("scenes", "photos"), [(40, 1), (400, 1), (60, 4)])
@pytest.mark.parametrize("kind", FACTORS)
def test_it_holds_the_true_error(kind: str, scenes: int, photos: int) -> None:
    factor = FACTORS[kind]
    truth = 0.0 if factor == 1 else true_error(factor)
    draw, held, groups = np.random.default_rng([scenes, photos]), [], np.repeat(np.arange(scenes), photos)
    for _ in range(200):
        positive, probability, _ = drawn(draw, scenes, photos, factor)
        held.append(holds(measure_calibration(positive, probability, groups), truth))
    assert np.mean(held) >= 0.93 - 0.035


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_it_is_an_interval(seed: int, n: int) -> None:
    low, high = measure_calibration(*drawn(np.random.default_rng(seed), n, 1, 2.0)[:2]).ci95
    assert 0 <= low <= high < np.inf


def test_perfect_agreement_has_a_narrow_one() -> None:
    probability = np.repeat([0.25, 0.75], 4_000)
    positive = np.tile([True, False, False, False], 1_000), np.tile([True, True, True, False], 1_000)
    found = measure_calibration(np.concatenate(positive), probability)
    assert found.expected_error == 0 and found.ci95[0] == 0 and found.ci95[1] < 0.02
