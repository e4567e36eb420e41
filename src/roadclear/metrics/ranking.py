"""Metrics of the order of probabilities, with 95% intervals: ROC AUC and average precision.

Both intervals are closed forms that keep a width where every photo is in the right order. The observed variance of few
groups is uncertain, and 0 where there is no mistake. So the variance is a mean of two. The observed variance weighs as
many groups as there are, and the variance of a model weighs a few groups more.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.metrics.intervals import (
    NORMAL_95,
    Estimate,
    group_sums,
    number_groups,
    rank_effective_size,
    wilson,
)
from roadclear.utils.arrays import Bools, Floats, Indices

_AUC_MODEL_GROUPS = 8
_PRECISION_MODEL_GROUPS = 4
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Measure:
    """A metric with its interval, and what each photo adds to the metric.

    Attributes:
        estimate: value with its 95% interval.
        influence: float64 [n], derivative of the value by the weight of each photo. The squared sums over groups add up
            to the variance of the value.
    """

    estimate: Estimate
    influence: Floats


def roc_auc(positive: Bools, probability: Floats, groups: Indices) -> Measure:
    """Share of pairs of a positive and a negative photo in the right order. Ties count half (Mann and Whitney 1947).

    The interval is Newcombe's score interval (Newcombe 2006, "Confidence intervals for an effect size measure based on
    the Mann-Whitney statistic. Part 2", method 5) at the effective numbers of photos. Its variance (Hanley and McNeil
    1982) is scaled to the observed variance of clustered data (DeLong, DeLong and Clarke-Pearson 1988; Obuchowski 1997,
    "Nonparametric analysis of clustered ROC curve data").

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float64 [n], probability of the positive class.
        groups: int [n], number of the group of each photo.

    Returns:
        The area, in [0, 1]; nan where one class is missing.
    """
    n, influence = len(positive), np.zeros(len(positive))
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return Measure(Estimate(float("nan"), (float("nan"), float("nan")), n), influence)
    below = _share_below(probability[~positive], probability[positive])
    above = _share_below(probability[positive], probability[~positive])
    area = float(below.mean())
    influence[positive] = (below - area) / positives
    influence[~positive] = (1 - above - area) / negatives
    sizes = [rank_effective_size(probability[of], groups[of]) for of in (positive, ~positive)]
    count = min(len(np.unique(groups[of])) for of in (positive, ~positive))
    modelled = _hanley_mcneil(area, *sizes)
    observed = _clustered_variance(influence, positive, groups)
    scale = 1.0
    if modelled > 0:
        scale = (count * observed / modelled + _AUC_MODEL_GROUPS) / (count + _AUC_MODEL_GROUPS)
    low, high = (_score_end(area, end, scale, sizes) for end in (0.0, 1.0))
    return Measure(Estimate(area, (low, high), n), influence)


def average_precision(positive: Bools, probability: Floats, groups: Indices) -> Measure:
    """Precision averaged over the steps of recall. Tied photos enter together (Zhu 2004).

    The interval is Wilson's at an effective number of positive photos. The model's variance is that of a proportion of
    the positive photos (Boyd, Eng and Page 2013, "Area under the precision-recall curve: point estimates and confidence
    intervals"). The observed variance is that of the influence of whole groups.

    See `roc_auc` for the arguments. The value is nan where there is no positive photo.
    """
    n, influence = len(positive), np.zeros(len(positive))
    positives = int(positive.sum())
    if not positives:
        return Measure(Estimate(float("nan"), (float("nan"), float("nan")), n), influence)
    order = np.argsort(-probability, kind="stable")
    ordered, hit = probability[order], positive[order].astype(np.float64)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    step = np.searchsorted(ends, np.arange(n))
    calls, hits = ends + 1.0, np.cumsum(hit)[ends]
    new, precision = np.diff(hits, prepend=0.0), hits / calls
    value = float(new @ precision) / positives
    # A photo changes its own precision, and that of every photo with a lower probability.
    later_calls, later_hits = (np.cumsum(each[::-1])[::-1] for each in (new / calls, new * precision / calls))
    influence[order] = (hit * (precision[step] + later_calls[step] - value) - later_hits[step]) / positives
    size = rank_effective_size(probability[positive], groups[positive])
    observed, modelled = _variance(group_sums(influence, groups)), value * (1 - value) / size
    count = len(np.unique(groups[positive]))
    if modelled > 0:
        size *= (count + _PRECISION_MODEL_GROUPS) / (count * observed / modelled + _PRECISION_MODEL_GROUPS)
    return Measure(Estimate(min(value, 1.0), wilson(min(value, 1.0), 1.0, size), n), influence)


def _share_below(values: Floats, limits: Floats) -> Floats:
    """Share of values below each limit; equal values count half."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, limits, "left") + np.searchsorted(ordered, limits, "right")) / (2 * len(values))


def _clustered_variance(influence: Floats, positive: Bools, groups: Indices) -> float:
    """Variance of the area over groups, with the covariance of groups that have both labels (Obuchowski 1997)."""
    group = number_groups(groups, len(influence))
    ups, downs = (np.bincount(group, weights=influence * of) for of in (positive, ~positive))
    counts = [len(np.unique(group[of])) for of in (positive, ~positive)]
    apart = sum(c / max(c - 1, 1) * float(of @ of) for c, of in zip(counts, (ups, downs), strict=True))
    together = 2 * len(ups) / max(len(ups) - 1, 1) * float(ups @ downs)
    return max(apart + together, 0.0)


def _variance(sums: Floats) -> float:
    return len(sums) / max(len(sums) - 1, 1) * float(sums @ sums)


def _hanley_mcneil(area: float, positives: float, negatives: float) -> float:
    """Variance of the area under an exponential model; both label sizes are averaged as Newcombe's method 5 does."""
    others = (positives + negatives) / 2 - 1
    factor = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
    return area * (1 - area) * factor / (positives * negatives)


def _score_end(area: float, end: float, scale: float, sizes: list[float]) -> float:
    """Find the true area between the observed one and an end, for which the observed one is just plausible.

    Plausible means within 1.96 standard errors, at the variance of the true area. Bisection finds the place.
    """
    if area == end:
        return end
    plausible, not_plausible = area, end
    for _ in range(_HALVINGS):
        middle = (plausible + not_plausible) / 2
        if (area - middle) ** 2 <= NORMAL_95**2 * scale * _hanley_mcneil(middle, *sizes):
            plausible = middle
        else:
            not_plausible = middle
    return plausible
