"""Classification metrics with 95% intervals.

Every metric takes a weight per photo. Weights of 1 give the metric. Rows of multinomial counts give its value in every
bootstrap resample, in one call.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.intervals import (
    Estimate,
    estimate_values,
    number_groups,
    percentile_interval,
    resample,
    share_of,
)
from roadclear.utils.arrays import Bools, Indices, Probabilities

Weights = NDArray[np.float64]

RESAMPLES = 1000
_BLOCK_CELLS = 2_000_000
_SEED = 20180112


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
    2001, section 3.1.1). balanced_accuracy, f1, roc_auc, average_precision, brier and log_loss (nats) have the
    percentile interval of 1,000 bootstrap resamples (Efron and Tibshirani 1993, chapter 13).

    Photos of one group are not independent. With groups, the Wilson interval is taken at the effective sample size, and
    the bootstrap draws whole groups; see `roadclear.metrics.intervals`.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
        threshold: least probability of a positive prediction.
        groups: int [n], number of the group of each photo, such as the frames of one scene; None for no groups.

    Raises:
        DatasetError: there is no photo.

    Returns:
        Ten metrics by name, the confusion matrix, and the threshold.
    """
    if not len(positive):
        raise DatasetError("expected photos to evaluate on, found none that can be read: check the folder")
    sample = _Scored(positive, probability.astype(np.float64), probability >= threshold)
    group = number_groups(groups, len(positive))
    metrics = {name: _proportion(sample, of, group) for name, of in _PROPORTIONS.items()}
    metrics |= _bootstrapped(sample, group)
    predicted = sample.predicted
    confusion = Confusion(
        tp=int(np.sum(positive & predicted)),
        fp=int(np.sum(~positive & predicted)),
        fn=int(np.sum(positive & ~predicted)),
        tn=int(np.sum(~positive & ~predicted)),
    )
    return Evaluation(metrics, confusion, threshold)


def weighted_metrics(
    positive: Bools, probability: Probabilities, predicted: Bools, weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """Compute accuracy, balanced_accuracy, f1, roc_auc, average_precision, brier and log_loss of weighted photos.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
        predicted: bool [n], whether each photo is predicted positive.
        weights: float64 [k, n], weights of the photos: counts in a resample, or 1.

    Returns:
        float64 [k] by metric, nan where a metric is undefined.
    """
    sample = _Scored(positive, probability.astype(np.float64), predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = weights @ (predicted == positive) / weights.sum(axis=1)
        return {"accuracy": np.asarray(accuracy)} | {name: of(sample, weights) for name, of in _METRICS.items()}


@dataclass(frozen=True)
class _Scored:
    positive: Bools
    probability: NDArray[np.float64]
    predicted: Bools


# For each proportion: the photos that count as hits, and the photos among which they are counted.
_PROPORTIONS: dict[str, Callable[[_Scored], tuple[Bools, Bools]]] = {
    "accuracy": lambda s: (s.predicted == s.positive, np.ones_like(s.positive)),
    "precision": lambda s: (s.positive, s.predicted),
    "recall": lambda s: (s.predicted, s.positive),
    "specificity": lambda s: (~s.predicted, ~s.positive),
}


def _proportion(sample: _Scored, of: Callable[[_Scored], tuple[Bools, Bools]], group: Indices) -> Estimate:
    hit, among = of(sample)
    return share_of(hit[among], group[among])


def _bootstrapped(sample: _Scored, group: Indices) -> dict[str, Estimate]:
    """Compute the metrics that are not proportions. Resamples are drawn a block at a time, to bound memory."""
    n = len(sample.positive)
    draw = np.random.default_rng(_SEED)
    block = max(1, min(RESAMPLES, _BLOCK_CELLS // n))
    values: dict[str, list[Weights]] = {name: [] for name in _METRICS}
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, RESAMPLES, block):
            weights = resample(draw, group, min(block, RESAMPLES - start))
            for name, metric in _METRICS.items():
                values[name].append(metric(sample, weights))
        ones = np.ones((1, n))
        return {
            name: Estimate(float(metric(sample, ones)[0]), percentile_interval(np.concatenate(values[name]), group), n)
            for name, metric in _METRICS.items()
        }


def _balanced_accuracy(sample: _Scored, weights: Weights) -> Weights:
    recall = weights @ (sample.predicted & sample.positive) / (weights @ sample.positive)
    specificity = weights @ (~sample.predicted & ~sample.positive) / (weights @ ~sample.positive)
    return np.asarray((recall + specificity) / 2)


def _f1(sample: _Scored, weights: Weights) -> Weights:
    hits = weights @ (sample.predicted & sample.positive)
    return np.asarray(2 * hits / (weights @ sample.predicted + weights @ sample.positive))


def _roc_auc(sample: _Scored, weights: Weights) -> Weights:
    """Share of (positive, negative) pairs in the right order. Ties count half (Mann and Whitney 1947)."""
    order = np.argsort(sample.probability, kind="stable")
    positive, starts = sample.positive[order], _tie_starts(sample.probability[order])
    w = weights[:, order]
    negatives = np.add.reduceat(w * ~positive, starts, axis=1)
    positives = np.add.reduceat(w * positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return np.asarray((positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1)))


def _average_precision(sample: _Scored, weights: Weights) -> Weights:
    """Precision averaged over the steps of recall. Tied photos enter together (Zhu 2004)."""
    order = np.argsort(-sample.probability, kind="stable")
    positive, starts = sample.positive[order], _tie_starts(sample.probability[order])
    w = weights[:, order]
    hits = np.add.reduceat(w * positive, starts, axis=1)
    calls = np.cumsum(np.add.reduceat(w, starts, axis=1), axis=1)
    precision = np.divide(np.cumsum(hits, axis=1), calls, out=np.zeros_like(calls), where=calls > 0)
    return np.asarray((precision * hits).sum(axis=1) / hits.sum(axis=1))


def _brier(sample: _Scored, weights: Weights) -> Weights:
    """Mean squared difference between probability and truth (Brier 1950)."""
    return np.asarray(weights @ (sample.probability - sample.positive) ** 2 / weights.sum(axis=1))


def _log_loss(sample: _Scored, weights: Weights) -> Weights:
    certain = np.finfo(np.float32).eps
    p = np.clip(sample.probability, certain, 1 - certain)
    return np.asarray(weights @ -np.log(np.where(sample.positive, p, 1 - p)) / weights.sum(axis=1))


def _tie_starts(ordered: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions at which runs of equal values begin."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


_METRICS: dict[str, Callable[[_Scored, Weights], Weights]] = {
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "brier": _brier,
    "log_loss": _log_loss,
}


def evaluation_values(evaluation: Evaluation) -> dict[str, Any]:
    """Convert an evaluation to plain values: {"accuracy": {"value", "ci95", "n"}, ..., "confusion": {...}}."""
    values: dict[str, Any] = {name: estimate_values(estimate) for name, estimate in evaluation.metrics.items()}
    return values | {"confusion": asdict(evaluation.confusion)}
