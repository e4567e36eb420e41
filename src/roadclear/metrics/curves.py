"""Curves over the threshold: ROC and precision-recall points with bootstrap bands, and threshold curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.intervals import number_groups, resample
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities

GRID = np.linspace(0.0, 1.0, 101)
"""Positions of the bands and of threshold charts, from 0 to 1."""

RESAMPLES = 200
"""Number of bootstrap resamples behind a band."""

_SEED = 20180112
_BAND_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Rates at every distinct threshold, from the highest to the lowest. The first point predicts no positive.

    Attributes:
        recall: float64 [k], rising from 0 to 1.
        false_rate: float64 [k], false positive rate, rising from 0 to 1.
        precision: float64 [k]; 1 at the first point, which has no positive prediction.
    """

    recall: Floats
    false_rate: Floats
    precision: Floats


def check_both(positive: Bools) -> None:
    """Refuse photos of one class only, for which curves are undefined.

    Raises:
        DatasetError: all photos are of one class.
    """
    if positive.all() or not positive.any():
        raise DatasetError(f"expected photos of both classes, found {len(positive)} of one: add some of the other")


def operating_points(positive: Bools, probability: Probabilities) -> OperatingPoints:
    """Compute the points of the ROC and the precision-recall curve. Photos with equal probabilities enter together.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n], probability of the positive class.

    Raises:
        DatasetError: the photos are not of both classes.
    """
    check_both(positive)
    recall, false_rate, precision = _points(positive, probability, np.ones((1, len(positive))))
    return OperatingPoints(recall[0], false_rate[0], precision[0])


def rates_at(positive: Bools, probability: Probabilities, threshold: float) -> tuple[float, float]:
    """Compute recall and false positive rate at a threshold."""
    predicted = probability >= threshold
    return float(predicted[positive].mean()), float(predicted[~positive].mean())


def roc_band(
    positive: Bools, probability: Probabilities, groups: Indices | None = None
) -> tuple[Floats, Floats] | None:
    """Compute the 95% band of the recall at each false positive rate of `GRID`.

    The ends are percentiles over bootstrap resamples (vertical averaging, Fawcett 2006, section 7.1). Groups are
    drawn whole.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n], probability of the positive class.
        groups: int [n], number of the group of each photo; None for no groups.

    Returns:
        Lower and upper end, float64 [101] each; None above 20,000 photos, where a band is thinner than its line.
    """
    resampled = _resampled(positive, probability, groups)
    if resampled is None:
        return None
    recall, false_rate, _ = resampled
    return _percentiles([np.interp(GRID, f, r) for r, f in zip(recall, false_rate, strict=True)])


def precision_band(
    positive: Bools, probability: Probabilities, groups: Indices | None = None
) -> tuple[Floats, Floats] | None:
    """Compute the 95% band of the precision at each recall of `GRID`; see `roc_band`."""
    resampled = _resampled(positive, probability, groups)
    if resampled is None:
        return None
    recall, _, precision = resampled
    # Rounding must not keep a recall of 0.3 from reaching 0.3.
    at = [np.minimum(np.searchsorted(r, GRID - 1e-9), len(r) - 1) for r in recall]
    return _percentiles([p[i] for p, i in zip(precision, at, strict=True)])


def _points(positive: Bools, probability: Probabilities, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Compute recall, false positive rate and precision, [r, k] each, of photos with weights [r, n]."""
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    among = weights[:, order]
    start = np.zeros((len(weights), 1))
    hits = np.hstack([start, np.cumsum(among * positive[order], axis=1)[:, ends]])
    alarms = np.hstack([start, np.cumsum(among * ~positive[order], axis=1)[:, ends]])
    calls = hits + alarms
    precision = np.divide(hits, calls, out=np.ones_like(hits), where=calls > 0)
    return hits / hits[:, -1:], alarms / alarms[:, -1:], precision


def _resampled(
    positive: Bools, probability: Probabilities, groups: Indices | None
) -> tuple[Floats, Floats, Floats] | None:
    """Compute the points of bootstrap resamples. Resamples without photos of both classes are left out."""
    n = len(positive)
    if n * RESAMPLES > _BAND_CELLS:
        return None
    draw = np.random.default_rng(_SEED)
    weights = resample(draw, number_groups(groups, n), RESAMPLES)
    both = (weights @ positive > 0) & (weights @ ~positive > 0)
    return _points(positive, probability, weights[both])


def _percentiles(curves: list[Floats]) -> tuple[Floats, Floats]:
    low, high = np.percentile(np.array(curves), [2.5, 97.5], axis=0)
    return low, high


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Rates at every threshold between two neighbouring probabilities. All arrays are float64 [k].

    Attributes:
        thresholds: middles between neighbouring probabilities, rising.
        gaps: distances between the neighbouring probabilities.
        recall: share of the positive photos at or above the threshold.
        specificity: share of the negative photos below the threshold.
        precision: share of positive photos among all photos at or above the threshold; 1 where there are none.
    """

    thresholds: NDArray[np.float64]
    gaps: NDArray[np.float64]
    recall: NDArray[np.float64]
    specificity: NDArray[np.float64]
    precision: NDArray[np.float64]


def threshold_curve(positive: Bools, probability: Probabilities) -> ThresholdCurve:
    """Compute recall, specificity and precision over the threshold.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
    """
    levels = np.unique(np.concatenate([[0.0, 1.0], probability.astype(np.float64)]))
    middles = (levels[1:] + levels[:-1]) / 2
    positives, negatives = int(positive.sum()), int((~positive).sum())
    hits = positives - _count_below(middles, probability[positive])
    rejected = _count_below(middles, probability[~positive])
    calls = hits + negatives - rejected
    # One division each: a recall of 2 in 10 must not fall short of 0.2 by a rounding error.
    return ThresholdCurve(
        thresholds=middles,
        gaps=np.diff(levels),
        recall=hits / max(positives, 1),
        specificity=rejected / max(negatives, 1),
        precision=np.where(calls > 0, hits / np.maximum(calls, 1), 1.0),
    )


def _count_below(limits: NDArray[np.float64], values: Probabilities) -> NDArray[np.intp]:
    return np.searchsorted(np.sort(values.astype(np.float64)), limits)
