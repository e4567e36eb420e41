"""Classification metrics with 95% intervals. Every interval is a closed form and respects groups."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.checks import check_probabilities, check_threshold
from roadclear.metrics.intervals import (
    Estimate,
    correlation_of,
    estimate_values,
    mean_interval,
    number_groups,
    share_of,
    sum_interval,
)
from roadclear.metrics.ranking import Measure, average_precision, roc_auc
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities


@dataclass(frozen=True)
class Confusion:
    """Counts of photos: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, the confusion matrix, and the decision threshold of both."""

    metrics: Mapping[str, Estimate]
    confusion: Confusion
    threshold: float


def evaluate(
    positive: Bools, probability: Probabilities, threshold: float, groups: Indices | None = None
) -> Evaluation:
    """Compare probabilities with the truth.

    accuracy, precision, recall and specificity have the Wilson score interval (Wilson 1927; Brown, Cai and DasGupta
    2001, section 3.1.1). The other intervals are closed forms too: see `balanced_accuracy`, `f1`,
    `roadclear.metrics.ranking` for roc_auc and average_precision, and `roadclear.metrics.intervals.mean_interval` for
    brier and log_loss (nats).

    Photos of one group are not independent, so groups widen every interval; see `roadclear.metrics.intervals`.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
        threshold: least probability of a positive prediction, in [0, 1].
        groups: int [n], number of the group of each photo, such as the frames of one scene; None for no groups.

    Raises:
        DatasetError: there is no photo, or a probability or the threshold is not a number from 0 to 1.

    Returns:
        Ten metrics by name, the confusion matrix, and the threshold.
    """
    if not len(positive):
        raise DatasetError("expected photos to evaluate on, found none that can be read: check the folder")
    check_probabilities(probability)
    check_threshold(threshold)
    group = number_groups(groups, len(positive))
    p, predicted = probability.astype(np.float64), np.asarray(probability >= threshold)
    metrics = {name: _proportion(*of(predicted, positive), group) for name, of in _PROPORTIONS.items()}
    metrics["balanced_accuracy"] = balanced_accuracy(positive, predicted, group).estimate
    metrics["f1"] = f1(positive, predicted, group)
    metrics["roc_auc"] = roc_auc(positive, p, group).estimate
    metrics["average_precision"] = average_precision(positive, p, group).estimate
    metrics["brier"] = _mean(squared_errors(positive, p), group, 1.0)
    metrics["log_loss"] = _mean(log_losses(positive, p), group, np.inf)
    confusion = Confusion(
        tp=int(np.sum(positive & predicted)),
        fp=int(np.sum(~positive & predicted)),
        fn=int(np.sum(positive & ~predicted)),
        tn=int(np.sum(~positive & ~predicted)),
    )
    return Evaluation(metrics, confusion, threshold)


# For each proportion: the photos that count as hits, and the photos among which they are counted.
_PROPORTIONS: dict[str, Callable[[Bools, Bools], tuple[Bools, Bools]]] = {
    "accuracy": lambda predicted, positive: (predicted == positive, np.ones_like(positive)),
    "precision": lambda predicted, positive: (positive, predicted),
    "recall": lambda predicted, positive: (predicted, positive),
    "specificity": lambda predicted, positive: (~predicted, ~positive),
}


def accuracy(positive: Bools, predicted: Bools, groups: Indices) -> Measure:
    """Share of right predictions, with the Wilson interval at the effective sample size."""
    return _share(predicted == positive, np.ones_like(positive), groups)


def balanced_accuracy(positive: Bools, predicted: Bools, groups: Indices) -> Measure:
    """Mean of recall and specificity; nan where one class is missing.

    The interval squares and adds the arms of the Wilson intervals of both; see
    `roadclear.metrics.intervals.sum_interval`. Groups with photos of both labels make recall and specificity depend on
    each other. A positive correlation widens the interval. A negative one, which few groups show by chance, is left
    out.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        predicted: bool [n], whether each photo is predicted positive.
        groups: int [n], number of the group of each photo.
    """
    recall, specificity = _share(predicted, positive, groups), _share(~predicted, ~positive, groups)
    influence = (recall.influence + specificity.influence) / 2
    value = (recall.estimate.value + specificity.estimate.value) / 2
    if not np.isfinite(value):
        return Measure(Estimate(float("nan"), (float("nan"), float("nan")), len(positive)), influence)
    correlation = max(correlation_of(recall.influence, specificity.influence, groups), 0.0)
    low, high = sum_interval(recall.estimate, specificity.estimate, correlation)
    return Measure(Estimate(value, (max(low / 2, 0.0), min(high / 2, 1.0)), len(positive)), influence)


def f1(positive: Bools, predicted: Bools, groups: Indices) -> Estimate:
    """F1 score: the harmonic mean of precision and recall; nan where no photo is positive or predicted positive.

    F1 is 2 J / (1 + J), where J is the share of true positives among all photos that are positive or predicted
    positive. J is a proportion, so the interval is the Wilson interval of J, transformed.

    See `balanced_accuracy` for the arguments.
    """
    either = positive | predicted
    share = share_of((positive & predicted)[either], groups[either])
    value, low, high = (2 * end / (1 + end) for end in (share.value, *share.ci95))
    return Estimate(value, (low, high), len(positive))


def squared_errors(positive: Bools, probability: Floats) -> Floats:
    """Squared difference of probability and truth for each photo; the mean is the Brier score (Brier 1950)."""
    return np.asarray((probability - positive) ** 2)


def log_losses(positive: Bools, probability: Floats) -> Floats:
    """Negative log-likelihood of each photo in nats. Probabilities are cut to the precision of float32."""
    certain = np.finfo(np.float32).eps
    p = np.clip(probability, certain, 1 - certain)
    return np.asarray(-np.log(np.where(positive, p, 1 - p)))


def _proportion(hit: Bools, among: Bools, groups: Indices) -> Estimate:
    return share_of(hit[among], groups[among])


def _share(hit: Bools, among: Bools, groups: Indices) -> Measure:
    estimate, influence = _proportion(hit, among, groups), np.zeros(len(hit))
    influence[among] = (hit[among] - estimate.value) / max(estimate.n, 1)
    return Measure(estimate, influence)


def _mean(values: NDArray[np.float64], groups: Indices, largest: float) -> Estimate:
    low, high = mean_interval(values, groups)
    # Comparisons with nan are false, so an undefined end stays undefined.
    return Estimate(float(values.mean()), (0.0 if low < 0 else low, largest if high > largest else high), len(values))


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """Convert an evaluation to plain values: {"accuracy": {"value", "ci95", "n"}, ..., "confusion": {...}}."""
    values: dict[str, Any] = {name: estimate_values(estimate) for name, estimate in evaluation.metrics.items()}
    return values | {"confusion": asdict(evaluation.confusion)}
