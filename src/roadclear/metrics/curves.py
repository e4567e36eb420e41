"""Curves over the threshold: ROC and precision-recall points with 95% bands, and threshold curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.metrics.checks import check_both, check_probabilities, check_threshold
from roadclear.metrics.intervals import effective_size, number_groups, wilson
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities

GRID = np.linspace(0.0, 1.0, 101)
"""Positions of the bands and of threshold charts, from 0 to 1."""

MOST_BANDED = 20_000
"""Above this number of photos a band is thinner than its line, so there is none."""

_ROUNDING = 1e-9


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


def operating_points(positive: Bools, probability: Probabilities) -> OperatingPoints:
    """Compute the points of the ROC and the precision-recall curve. Photos with equal probabilities enter together.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n], probability of the positive class.

    Raises:
        DatasetError: the photos are not of both classes, or a probability is not a number from 0 to 1.
    """
    check_both(positive)
    check_probabilities(probability)
    order = np.argsort(-probability, kind="stable")
    ordered, hit = probability[order], positive[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits, alarms = (np.concatenate([[0.0], np.cumsum(of)[ends]]) for of in (hit, ~hit))
    calls = hits + alarms
    precision = np.divide(hits, calls, out=np.ones_like(hits), where=calls > 0)
    return OperatingPoints(hits / hits[-1], alarms / alarms[-1], precision)


def rates_at(positive: Bools, probability: Probabilities, threshold: float) -> tuple[float, float]:
    """Compute recall and false positive rate at a threshold.

    Raises:
        DatasetError: the threshold or a probability is not a number from 0 to 1.
    """
    check_probabilities(probability)
    check_threshold(threshold)
    predicted = probability >= threshold
    return float(predicted[positive].mean()), float(predicted[~positive].mean())


def roc_band(
    positive: Bools, probability: Probabilities, groups: Indices | None = None
) -> tuple[Floats, Floats] | None:
    """Compute the 95% band of the recall at each false positive rate of `GRID`, for each place by itself.

    Two things are uncertain: the recall at a threshold, and the threshold that gives the false positive rate. The arms
    of both Wilson intervals, at the effective sample sizes of the groups, are squared and added; the second one is
    measured along the curve (`roadclear.metrics.intervals.sum_interval`).

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n], probability of the positive class.
        groups: int [n], number of the group of each photo; None for no groups.

    Returns:
        Lower and upper end, float64 [101] each; None above `MOST_BANDED` photos.
    """
    if len(positive) > MOST_BANDED:
        return None
    points = operating_points(positive, probability)
    recall = np.interp(GRID, points.false_rate, points.recall)
    thresholds = _thresholds_of(probability[~positive], GRID)
    found = _wilson_ends(probability[positive], _of(groups, positive), thresholds, recall)
    alarms = _wilson_ends(probability[~positive], _of(groups, ~positive), thresholds, GRID)
    along = np.interp(alarms, points.false_rate, points.recall)
    return _joined_band(recall, found, along)


def precision_band(
    positive: Bools, probability: Probabilities, groups: Indices | None = None
) -> tuple[Floats, Floats] | None:
    """Compute the 95% band of the precision at each recall of `GRID`; see `roc_band`."""
    if len(positive) > MOST_BANDED:
        return None
    points = operating_points(positive, probability)
    thresholds = _thresholds_of(probability[positive], GRID)
    precision = _precision_at(points, GRID)
    found = _wilson_ends(probability[positive], _of(groups, positive), thresholds, GRID)
    along = np.sort([_precision_at(points, end) for end in found], axis=0)
    return _joined_band(precision, _precision_ends(positive, probability, groups, thresholds, precision), along)


def _of(groups: Indices | None, members: Bools) -> Indices:
    return number_groups(groups, len(members))[members]


def _thresholds_of(probability: Probabilities, shares: Floats) -> Floats:
    """Thresholds that the given shares of photos reach: float64 [k]."""
    return np.quantile(probability.astype(np.float64), 1 - shares, method="inverted_cdf")


def _wilson_ends(probability: Probabilities, groups: Indices, thresholds: Floats, shares: Floats) -> Floats:
    """Wilson intervals of shares of photos at or above thresholds, at effective sample sizes: float64 [2, k]."""
    sizes = [effective_size(np.asarray(probability >= threshold), groups) for threshold in thresholds]
    return np.array([wilson(share, 1.0, size) for share, size in zip(shares.tolist(), sizes, strict=True)]).T


def _precision_ends(
    positive: Bools, probability: Probabilities, groups: Indices | None, thresholds: Floats, precision: Floats
) -> Floats:
    group, ends = number_groups(groups, len(positive)), []
    for threshold, share in zip(thresholds.tolist(), precision.tolist(), strict=True):
        called = probability >= threshold
        ends.append(wilson(share, 1.0, effective_size(positive[called], group[called])))
    return np.array(ends).T


def _precision_at(points: OperatingPoints, recall: Floats) -> Floats:
    """Precision at the first threshold that reaches each recall. Rounding must not keep 0.3 from reaching 0.3."""
    at = np.minimum(np.searchsorted(points.recall, recall - _ROUNDING), len(points.recall) - 1)
    return np.asarray(points.precision[np.maximum(at, 1)])


def _joined_band(values: Floats, ends: Floats, along: Floats) -> tuple[Floats, Floats]:
    """Square and add the arms of two intervals [2, k] around values [k]. Arms beyond a value count as 0."""
    down = np.hypot(np.maximum(values - ends[0], 0), np.maximum(values - along[0], 0))
    up = np.hypot(np.maximum(ends[1] - values, 0), np.maximum(along[1] - values, 0))
    return np.clip(values - down, 0, 1), np.clip(values + up, 0, 1)


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

    Raises:
        DatasetError: a probability is not a number from 0 to 1.
    """
    check_probabilities(probability)
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
