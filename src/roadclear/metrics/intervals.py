"""95% intervals: Wilson for proportions, t with skewness for means, corrected resampled t for cross-validation.

Photos of one group (near-duplicates, frames of one scene) are right or wrong together. They count for less than as many
independent photos, so every interval takes groups. With groups of one photo each, the intervals are the usual ones.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadclear.metrics.student import t_quantile
from roadclear.utils.arrays import Bools, Floats, Indices
from roadclear.utils.tables import number_or_none

NORMAL_95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""

_ADDED_GROUPS = 0.5
_FEW_GROUPS = 4


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its 95% interval.

    Attributes:
        value: value of the metric; nan where the metric is undefined (precision without a positive prediction).
        ci95: lower and upper end of the interval.
        n: number of photos behind the value: positive photos for recall, photos predicted positive for precision.
    """

    value: float
    ci95: tuple[float, float]
    n: int


def wilson(successes: float, n: float, effective_n: float | None = None) -> tuple[float, float]:
    """Compute the 95% Wilson score interval of a proportion; (0, 1) when n is 0.

    Args:
        successes: number of hits.
        n: number of photos.
        effective_n: number of independent photos that carry as much information, above 0; None for n.
    """
    if n == 0:
        return 0.0, 1.0
    size = n if effective_n is None else effective_n
    share, z2 = successes / n, NORMAL_95**2
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = NORMAL_95 / (1 + z2 / size) * np.sqrt(share * (1 - share) / size + z2 / (4 * size * size))
    # At the ends the interval touches 0 or 1 exactly; rounding must not push it past the value.
    return (
        0.0 if successes == 0 else float(max(0.0, centre - half)),
        1.0 if successes == n else float(min(1.0, centre + half)),
    )


def proportion(successes: int, n: int, effective_n: float | None = None) -> Estimate:
    """Compute a proportion of n with its Wilson interval. The value is nan when n is 0; see `wilson`."""
    return Estimate(successes / n if n else float("nan"), wilson(successes, n, effective_n), n)


def share_of(hits: Bools, groups: Indices | None = None) -> Estimate:
    """Compute the share of hits with the Wilson interval at the effective sample size; see `effective_size`.

    Args:
        hits: bool [n], whether each photo is a hit.
        groups: int [n], number of the group of each photo; None for no groups.
    """
    size = None if groups is None or not len(hits) else effective_size(hits, groups)
    return proportion(int(np.sum(hits)), len(hits), size)


def effective_size(hits: Bools, groups: Indices) -> float:
    """Compute how many independent photos carry as much information on the share of hits as photos in groups.

    The size is n / deff. The design effect deff is the variance of the share over groups (ratio estimator, linearised)
    divided by the variance of n independent photos. The Wilson interval at this size is that of Korn and Graubard 1998
    ("Confidence intervals for proportions with small expected number of positive counts estimated from survey data")
    and of Dean and Pagano 2015 ("Evaluating confidence interval methods for binomial proportions in clustered
    surveys"). Two bounds hold: groups carry neither more than n photos, nor less than photos that always agree within
    a group (Kish 1965: deff at most sum of squared group sizes / n).

    Few groups that happen to agree hide the design effect, and with no hit or no miss deff is 0 / 0. So half a group of
    average size is added, half of its photos hits, as Agresti and Coull 1998 add photos. In simulations of 8 to 40
    groups this kept 95% intervals at 95 to 97%; without the half group and with a t quantile they held in 92 to 97%.

    Args:
        hits: bool [n], whether each photo is a hit, for at least one photo.
        groups: int [n], number of the group of each photo.

    Returns:
        Effective number of photos, in [1, n]; n where every photo is a group of its own.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n, count = len(hits), len(sizes)
    if count == n:
        return float(n)
    most = float(np.sum(sizes**2)) / n
    if count == 1:
        return n / most
    added, mean_size = _ADDED_GROUPS, n / count
    share = (np.sum(hits) + added * mean_size / 2) / (n + added * mean_size)
    residuals = np.bincount(group, weights=np.asarray(hits, np.float64)) - sizes * share
    of_added = added / 2 * mean_size**2 * (share**2 + (1 - share) ** 2)
    spread = (np.sum(residuals**2) + of_added) * (count + added) / (count - 1)
    deff = spread / ((n + added * mean_size) * share * (1 - share))
    return n / min(max(float(deff), 1.0), most)


def number_groups(groups: Indices | None, n: int) -> Indices:
    """Number groups from 0 in the order of their first photos: int [n]. Without groups every photo is its own."""
    if groups is None:
        return np.arange(n)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse])


def rank_effective_size(values: Floats, groups: Indices) -> float:
    """Compute how many independent photos carry as much information on the order of values as photos in groups.

    The size is n / deff, as in `effective_size`, for the mean of the ranks. Ranks within a label show how alike photos
    of a group are, even where a model makes no mistake.

    Args:
        values: float64 [n], probabilities of photos of one label, for at least one photo.
        groups: int [n], number of the group of each photo.

    Returns:
        Effective number of photos, in [1, n]; n where every photo is a group of its own.
    """
    sizes = np.bincount(number_groups(groups, len(values)))
    n, count = len(values), len(sizes)
    if count == n:
        return float(n)
    ordered = np.sort(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    deviations = ranks - ranks.mean()
    most, spread = float(np.sum(sizes**2)) / n, float(np.sum(deviations**2))
    if count == 1 or spread == 0:
        return n / most
    deff = float(np.sum(group_sums(deviations, groups) ** 2)) * count / (count - 1) / spread
    return n / min(max(deff, 1.0), most)


def group_sums(values: Floats, groups: Indices) -> Floats:
    """Sum values over the photos of each group: float64, one sum per group."""
    return np.asarray(np.bincount(number_groups(groups, len(values)), weights=values), np.float64)


def mean_interval(values: Floats, groups: Indices) -> tuple[float, float]:
    """Compute the 95% interval of a mean over photos in groups. Both ends are nan for a single group.

    The interval is the union of two: Student's t of G groups, and the t corrected for skewness by Hall's monotone
    transformation (Hall 1992, "On the removal of skewness by transformation"). Losses are skewed, since few photos have
    most of the loss, and the plain t then ends too low. Few groups hide skewness, so its estimate is multiplied by
    1 + 4 / G. In simulations (docs/intervals.md) this factor kept 12 to 200 groups at 93 to 98%.

    Args:
        values: float64 [n], one value per photo.
        groups: int [n], number of the group of each photo.
    """
    mean = float(values.mean())
    residuals = group_sums(values - mean, groups)
    count, spread = len(residuals), float(np.mean(residuals**2))
    if count < 2:
        return float("nan"), float("nan")
    error = count * np.sqrt(spread / (count - 1)) / len(values)
    t = t_quantile(count - 1)
    skewness = 0.0
    if count > 2 and spread > 0:
        unbiased = np.sqrt(count * (count - 1)) / (count - 2) * float(np.mean(residuals**3)) / spread**1.5
        skewness = (1 + _FEW_GROUPS / count) * unbiased / np.sqrt(count)
    down, up = (_without_skewness(side, skewness) for side in (t, -t))
    return float(mean - max(t, down) * error), float(mean + max(t, -up) * error)


def _without_skewness(t: float, skewness: float) -> float:
    """Invert Hall's transformation of a t statistic whose skewness is 6 * skewness for large samples."""
    if abs(skewness) < 1e-9:
        return t
    return float((np.cbrt(1 + skewness * (t - skewness / 6)) - 1) * 3 / skewness)


def sum_interval(a: Estimate, b: Estimate, correlation: float) -> tuple[float, float]:
    """Compute the 95% interval of a sum from the intervals of its parts, by squaring and adding their arms.

    Sources: Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", method 10; Zou 2007, "Toward using confidence intervals to compare correlations" (MOVER).

    Args:
        a: first part.
        b: second part.
        correlation: correlation of the estimates of the parts, in [-1, 1].
    """
    value = a.value + b.value
    down = _joined(a.value - a.ci95[0], b.value - b.ci95[0], correlation)
    up = _joined(a.ci95[1] - a.value, b.ci95[1] - b.value, correlation)
    return value - down, value + up


def _joined(arm: float, other: float, correlation: float) -> float:
    return math.sqrt(max(arm * arm + other * other + 2 * correlation * arm * other, 0.0))


def correlation_of(a: Floats, b: Floats, groups: Indices) -> float:
    """Correlation of two estimates by the influence of each group on both; 0 where one of them has none.

    Args:
        a: float64 [n], influence of each photo on the first estimate: the derivative by the weight of the photo.
        b: float64 [n], influence of each photo on the second estimate.
        groups: int [n], number of the group of each photo.
    """
    of_a, of_b = group_sums(a, groups), group_sums(b, groups)
    size = math.sqrt(float(of_a @ of_a) * float(of_b @ of_b))
    return min(max(float(of_a @ of_b) / size, -1.0), 1.0) if size > 0 else 0.0


def estimate(values: Floats, ratio: float, n: int, largest: float = 1.0, effective_n: float | None = None) -> Estimate:
    """Compute the mean of a metric over folds and repeats, with a 95% interval.

    The interval is the corrected resampled t interval, cut to the metric's range. Equal values have no spread, so
    their interval is the Wilson interval of the value as a share of n photos, at the effective sample size.

    Args:
        values: float64 [J], one value per fold and repeat. Undefined values (nan) are left out.
        ratio: number of photos in a test fold, divided by the number outside the fold.
        n: number of photos behind the metric.
        largest: largest possible value of the metric; the least is 0.
        effective_n: number of independent photos that carry as much information as the n photos; None for n.
    """
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Estimate(float("nan"), (float("nan"), float("nan")), n)
    value = float(defined.mean())
    if np.ptp(defined) == 0 and largest == 1:
        return Estimate(value, wilson(round(value * n), n, effective_n), n)
    low, high = corrected_interval(defined, ratio)
    return Estimate(value, (max(low, 0.0), min(high, largest)), n)


def corrected_interval(values: Floats, ratio: float) -> tuple[float, float]:
    """Compute the 95% interval of the mean by the corrected resampled t (Nadeau and Bengio 2003, section 3).

    The interval is mean ± t(J - 1) * sqrt((1/J + ratio) * s^2), where s^2 is the sample variance. Both ends are nan
    for fewer than two values.

    Args:
        values: float64 [J], one value per fold and repeat.
        ratio: n_test / n_train, the number of photos in a test fold, divided by the number outside the fold.
    """
    count = len(values)
    if count < 2:
        return float("nan"), float("nan")
    half = t_quantile(count - 1) * np.sqrt((1 / count + ratio) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)


def estimate_values(estimate: Estimate) -> dict[str, Any]:
    """Convert an estimate to plain values. Undefined numbers become None."""
    return {
        "value": number_or_none(estimate.value),
        "ci95": [number_or_none(end) for end in estimate.ci95],
        "n": estimate.n,
    }
