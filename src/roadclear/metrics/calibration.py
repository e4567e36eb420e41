"""Calibration: of the photos that are given 0.8, eight in ten should be of the positive class.

A head's logits are divided by one number, the temperature (Guo et al. 2017, "On Calibration of Modern Neural
Networks", section 4.2), so no photo changes its side of 0.5, and the division can be folded into the head's weights.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.metrics.intervals import wilson
from roadclear.utils.arrays import Bools, Probabilities

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Photos of like probability.

    Attributes:
        low: least probability of the bin.
        high: probability below which it ends (1 belongs to the last).
        n: photos in it.
        probability: their mean probability.
        share: the share of them that is positive.
        ci95: Wilson interval of that share.
    """

    low: float
    high: float
    n: int
    probability: float
    share: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """How well probabilities can be taken at their word.

    Attributes:
        expected_error: mean distance between probability and share, weighted by photos (Guo et al. 2017, equation 5).
        brier: mean squared difference between probability and truth (Brier 1950).
        bins: photos by probability.
    """

    expected_error: float
    brier: float
    bins: tuple[Bin, ...]


def measure_calibration(positive: Bools, probability: Probabilities) -> Calibration:
    """Compare probabilities with the truth, in ten bins of equal width; empty bins are left out.

    Args:
        positive: [n], whether the photo is of the positive class.
        probability: [n], of the positive class, in [0, 1].
    """
    p = np.asarray(probability, np.float64)
    number = np.minimum((p * BINS).astype(int), BINS - 1)
    bins = tuple(_bin(k, positive[number == k], p[number == k]) for k in range(BINS) if (number == k).any())
    expected = sum(b.n * abs(b.probability - b.share) for b in bins) / len(p)
    return Calibration(expected, float(np.mean((p - positive) ** 2)), bins)


def _bin(k: int, positive: Bools, probability: Probabilities) -> Bin:
    n, hits = len(positive), int(positive.sum())
    return Bin(k / BINS, (k + 1) / BINS, n, float(np.mean(probability)), hits / n, wilson(hits, n))
