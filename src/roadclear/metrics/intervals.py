"""95% intervals: Wilson for proportions, corrected resampled t for cross-validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from roadclear.utils.arrays import Floats
from roadclear.utils.tables import number_or_none

_NORMAL_95 = 1.959963984540054


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


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Compute the 95% Wilson score interval of a proportion; (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, _NORMAL_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _NORMAL_95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the interval touches 0 or 1 exactly; rounding must not push it past the value.
    return (
        0.0 if successes == 0 else float(max(0.0, centre - half)),
        1.0 if successes == n else float(min(1.0, centre + half)),
    )


def proportion(successes: int, n: int) -> Estimate:
    """Compute a proportion of n with its Wilson interval. The value is nan when n is 0."""
    return Estimate(successes / n if n else float("nan"), wilson(successes, n), n)


def estimate(values: Floats, ratio: float, n: int, largest: float = 1.0) -> Estimate:
    """Compute the mean of a metric over folds and repeats, with a 95% interval.

    The interval is the corrected resampled t interval, cut to the metric's range. Equal values have no spread, so
    their interval is the Wilson interval of the value as a share of n photos.

    Args:
        values: float64 [J], one value per fold and repeat. Undefined values (nan) are left out.
        ratio: number of photos in a test fold, divided by the number outside the fold.
        n: number of photos behind the metric.
        largest: largest possible value of the metric; the least is 0.
    """
    defined = values[np.isfinite(values)]
    if not len(defined):
        return Estimate(float("nan"), (float("nan"), float("nan")), n)
    value = float(defined.mean())
    if np.ptp(defined) == 0 and largest == 1:
        return Estimate(value, wilson(round(value * n), n), n)
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
    from scipy.stats import t

    count = len(values)
    if count < 2:
        return float("nan"), float("nan")
    half = t.ppf(0.975, count - 1) * np.sqrt((1 / count + ratio) * values.var(ddof=1))
    return float(values.mean() - half), float(values.mean() + half)


def estimate_values(estimate: Estimate) -> dict[str, Any]:
    """Convert an estimate to plain values. Undefined numbers become None."""
    return {
        "value": number_or_none(estimate.value),
        "ci95": [number_or_none(end) for end in estimate.ci95],
        "n": estimate.n,
    }
