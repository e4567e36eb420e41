"""Calibration error: of the photos with probability 0.8, eight in ten should be of the positive class."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from roadclear.metrics.intervals import NORMAL_95, group_sums, number_groups, share_of
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities

BINS = 10

_ADDED_PHOTOS, _ADDED_EVEN = 2, 0.5
_HALVINGS = 60


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
        ci95: 95% interval of the true calibration error in these bins; see `error_interval`. Chance alone makes
            `expected_error` larger than the true error, so the interval may lie below the value.
        brier: mean squared difference between probability and truth (Brier 1950).
        bins: non-empty bins of photos, by rising probability.
    """

    expected_error: float
    ci95: tuple[float, float]
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
    deviations = np.abs([b.probability - b.share for b in bins])
    ends = error_interval(deviations, _deviation_errors(bins, p - positive, group), np.array([b.n for b in bins]))
    return Calibration(expected, ends, float(np.mean((p - positive) ** 2)), bins)


def error_interval(deviations: Floats, errors: Floats, photos: Indices) -> tuple[float, float]:
    """Compute a 95% interval of the true calibration error.

    A bin's observed distance from its true distance is normal, so the observed distance without a sign is folded normal
    (Leone, Nelson and Nottingham 1961, "The Folded Normal Distribution"). Suppose that all true distances are c times
    the observed ones. The interval holds the calibration errors of every c for which the observed calibration error
    is within 1.96 standard errors of its mean. A bin without an observed distance counts with half its standard error.

    Args:
        deviations: float64 [b], observed distances between probability and share.
        errors: float64 [b], standard errors of the distances with their sign.
        photos: int [b], number of photos in each bin.

    Returns:
        Lower and upper end, at least 0.
    """
    weights = photos / photos.sum()
    observed, shape = float(weights @ deviations), np.maximum(deviations, errors / 2)
    unit = float(weights @ shape)

    def beyond(c: float, side: float) -> float:
        mean, variance = _folded(c * shape, errors)
        return float(weights @ mean + side * NORMAL_95 * np.sqrt(weights**2 @ variance)) - observed

    return unit * _root(lambda c: beyond(c, 1.0)), unit * _root(lambda c: beyond(c, -1.0))


def _deviation_errors(bins: tuple[Bin, ...], residuals: Floats, groups: Indices) -> Floats:
    """Estimate standard errors of the distance in each bin, float64 [b].

    The variance is that of the share, or of the probability where this is larger. Few photos that happen to agree would
    hide it, so two photos like the probability and half a photo of probability 1/2 are added to the share, as Agresti
    and Coull 1998 add photos. The design effect of groups is that of all residuals.
    """
    sums, total = group_sums(residuals, groups), float(np.sum(residuals**2))
    deff = max(1.0, float(np.sum(sums**2)) / total) if total > 0 else 1.0
    n = np.array([b.n for b in bins])
    probability = np.array([b.probability for b in bins])
    hits = n * np.array([b.share for b in bins]) + _ADDED_PHOTOS * probability + _ADDED_EVEN / 2
    share = hits / (n + _ADDED_PHOTOS + _ADDED_EVEN)
    return np.asarray(np.sqrt(deff * np.maximum(share * (1 - share), probability * (1 - probability)) / n))


def _folded(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Compute means and variances of absolute values of normal variables."""
    spread = np.maximum(errors, 1e-12)
    ratio = means / spread
    tail = np.array([math.erf(value / math.sqrt(2)) for value in ratio.tolist()])
    mean = spread * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + means * tail
    return mean, np.maximum(means**2 + spread**2 - mean**2, 0.0)


def _root(function: Callable[[float], float]) -> float:
    """Find the root of a rising function from 0 on by halving; 0 where the function is not negative at 0."""
    if function(0.0) >= 0:
        return 0.0
    low, high = 0.0, 1.0
    while function(high) < 0 and high < 2.0**_HALVINGS:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


def _bin(k: int, positive: Bools, probability: Probabilities, groups: Indices) -> Bin:
    share = share_of(positive, groups)
    return Bin(k / BINS, (k + 1) / BINS, share.n, float(np.mean(probability)), share.value, share.ci95)
