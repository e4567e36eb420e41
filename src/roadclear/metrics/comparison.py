"""Comparison of two models on the same photos, photo by photo."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.checks import check_probabilities
from roadclear.metrics.classification import accuracy, balanced_accuracy, log_losses, squared_errors
from roadclear.metrics.intervals import (
    Estimate,
    correlation_of,
    estimate_values,
    mean_interval,
    number_groups,
    sum_interval,
)
from roadclear.metrics.ranking import Measure, roc_auc
from roadclear.utils.arrays import Bools, Floats, Indices
from roadclear.utils.tables import number_or_none

COMPARED = ("accuracy", "balanced_accuracy", "roc_auc", "brier", "log_loss")
LESS_IS_BETTER = ("brier", "log_loss")

_LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model predicts for n photos.

    Attributes:
        probability: float64 [n] in [0, 1], probability of the positive class.
        predicted: bool [n], whether the model predicts the positive class.
    """

    probability: NDArray[np.float64]
    predicted: Bools


@dataclass(frozen=True)
class Paired:
    """A metric of two models on the same photos.

    Attributes:
        a: value of model A.
        b: value of model B.
        difference: b - a, with the 95% interval of paired photos.
    """

    a: float
    b: float
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models, A and B, on the same photos.

    Attributes:
        n: number of photos.
        groups: number of groups that are resampled whole; n where every photo is its own group.
        only_a: number of photos that only A predicts correctly.
        only_b: number of photos that only B predicts correctly.
        p_value: p-value of McNemar's test, see `mcnemar`.
        metrics: accuracy, balanced_accuracy, roc_auc, brier and log_loss (nats) by name.
    """

    n: int
    groups: int
    only_a: int
    only_b: int
    p_value: float
    metrics: Mapping[str, Paired]

    @property
    def better(self) -> str | None:
        """The better model, "A" or "B"; None where the photos do not show a difference.

        A model is better if McNemar's test has p < 0.05 and the interval of the difference in accuracy excludes 0.
        The interval respects groups. The test holds for any number of photos.
        """
        low, high = self.metrics["accuracy"].difference.ci95
        if self.p_value >= _LEVEL or low <= 0 <= high:
            return None
        return "B" if low > 0 else "A"


def compare_answers(positive: Bools, a: Answers, b: Answers, groups: Indices | None = None) -> Comparison:
    """Compare the predictions of two models for the same labelled photos.

    The interval of a difference squares and adds the arms of both models' intervals, with the correlation of both
    models over groups: for shares Newcombe 1998 (method 10), for ROC AUC Zou and Yue 2013 ("Using confidence intervals
    to compare several correlated areas under the receiver operating characteristic curves"). The interval is at least
    as wide as the t interval of the paired differences, summed over groups. The differences of brier
    and log_loss are means over photos; see `roadclear.metrics.intervals.mean_interval`. Models with equal answers to
    every photo do not differ, so both ends are then 0.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        a: predictions of model A.
        b: predictions of model B.
        groups: int [n], number of the group of each photo, such as the frames of one scene; None for no groups.

    Raises:
        DatasetError: there is no photo, or a probability is not a number from 0 to 1.
    """
    n = len(positive)
    if not n:
        raise DatasetError("expected photos to compare on, found none: give photos that neither model was trained on")
    for answers in (a, b):
        check_probabilities(answers.probability)
    group = number_groups(groups, n)
    right_a, right_b = a.predicted == positive, b.predicted == positive
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    return Comparison(
        n=n,
        groups=int(group.max()) + 1,
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
        metrics=_paired_metrics(positive, a, b, group),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p-value of McNemar's exact test: a fair coin is thrown only_a + only_b times.

    (McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages", in
    the exact conditional form.) The exact test keeps its significance level at any sample size; the mid-p and
    chi-squared tests do not. The price is less power on few photos (Fagerland, Lydersen and Laake 2013).

    Args:
        only_a: number of photos that only A predicts correctly.
        only_b: number of photos that only B predicts correctly.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def describe_comparison(comparison: Comparison) -> str:
    """Say in words which model is better."""
    differently = comparison.only_a + comparison.only_b
    on = f"on {comparison.n:,} photos; {differently:,} were answered differently"
    if comparison.better is None:
        return f"A and B cannot be told apart {on}."
    return f"{comparison.better} is better {on}."


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """Convert a comparison to plain values; an undefined number has the value None."""
    return {
        "photos": comparison.n,
        "groups": comparison.groups,
        "metrics": {
            name: {
                "a": number_or_none(pair.a),
                "b": number_or_none(pair.b),
                "difference": estimate_values(pair.difference),
            }
            for name, pair in comparison.metrics.items()
        },
        "mcnemar": {"only_a": comparison.only_a, "only_b": comparison.only_b, "p": comparison.p_value},
        "better": comparison.better,
        "conclusion": describe_comparison(comparison),
    }


def _paired_metrics(positive: Bools, a: Answers, b: Answers, group: Indices) -> dict[str, Paired]:
    measured = [
        {
            "accuracy": accuracy(positive, it.predicted, group),
            "balanced_accuracy": balanced_accuracy(positive, it.predicted, group),
            "roc_auc": roc_auc(positive, it.probability, group),
        }
        for it in (a, b)
    ]
    pairs = {name: _difference(measured[0][name], measured[1][name], group) for name in measured[0]}
    for name, losses in (("brier", squared_errors), ("log_loss", log_losses)):
        pairs[name] = _mean_difference(losses(positive, a.probability), losses(positive, b.probability), group)
    if np.array_equal(a.probability, b.probability) and np.array_equal(a.predicted, b.predicted):
        return {name: _without_difference(pair) for name, pair in pairs.items()}
    return pairs


def _difference(a: Measure, b: Measure, group: Indices) -> Paired:
    """Compare two values by the union of two intervals: squared and added arms, and the t of what groups add.

    The first keeps a width where no photo is answered differently. The second sees that one group made the difference.
    """
    one, other, n = a.estimate, b.estimate, len(group)
    minus = Estimate(-one.value, (-one.ci95[1], -one.ci95[0]), one.n)
    joined = sum_interval(other, minus, -correlation_of(a.influence, b.influence, group))
    value = other.value - one.value
    added = mean_interval(value + n * (b.influence - a.influence), group)
    # The t of a single group is nan, which fmin and fmax leave out.
    ends = float(np.fmin(joined[0], added[0])), float(np.fmax(joined[1], added[1]))
    return Paired(one.value, other.value, Estimate(value, ends, n))


def _mean_difference(a: Floats, b: Floats, group: Indices) -> Paired:
    one, other = float(a.mean()), float(b.mean())
    return Paired(one, other, Estimate(other - one, mean_interval(b - a, group), len(group)))


def _without_difference(pair: Paired) -> Paired:
    defined = np.isfinite(pair.difference.value)
    return replace(pair, difference=replace(pair.difference, ci95=(0.0, 0.0))) if defined else pair
