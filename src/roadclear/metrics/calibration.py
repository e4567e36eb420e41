"""Calibration error: of the photos with probability 0.8, eight in ten should be of the positive class."""

from dataclasses import dataclass

import numpy as np

from roadclear.metrics.intervals import number_groups, share_of
from roadclear.utils.arrays import Bools, Indices, Probabilities

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Photos of similar probability.

    Attributes:
        low: lower edge of the bin, included.
        high: upper edge of the bin, excluded; 1 belongs to the last bin.
        n: number of photos in the bin.
        probability: mean probability of the photos.
        share: share of the photos that is positive.
        ci95: Wilson interval of the share, at the effective sample size where photos are in groups.
    """

    low: float
    high: float
    n: int
    probability: float
    share: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """Agreement of probabilities with observed shares.

    Attributes:
        expected_error: mean distance between probability and share, weighted by photos (expected calibration error,
            Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 5).
        brier: mean squared difference between probability and truth (Brier 1950).
        bins: non-empty bins of photos, by rising probability.
    """

    expected_error: float
    brier: float
    bins: tuple[Bin, ...]


def measure_calibration(positive: Bools, probability: Probabilities, groups: Indices | None = None) -> Calibration:
    """Compare probabilities with the truth, in ten bins of equal width. Empty bins are left out.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
        groups: int [n], number of the group of each photo; None for no groups.
    """
    group = number_groups(groups, len(positive))
    p = np.asarray(probability, np.float64)
    number = np.minimum((p * BINS).astype(int), BINS - 1)
    bins = tuple(
        _bin(k, positive[number == k], p[number == k], group[number == k]) for k in range(BINS) if (number == k).any()
    )
    expected = sum(b.n * abs(b.probability - b.share) for b in bins) / len(p)
    return Calibration(expected, float(np.mean((p - positive) ** 2)), bins)


def _bin(k: int, positive: Bools, probability: Probabilities, groups: Indices) -> Bin:
    share = share_of(positive, groups)
    return Bin(k / BINS, (k + 1) / BINS, share.n, float(np.mean(probability)), share.value, share.ci95)
