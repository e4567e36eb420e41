"""Comparison of two models on the same photos, photo by photo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.classification import RESAMPLES, weighted_metrics
from roadclear.metrics.intervals import Estimate, estimate_values, number_groups, percentile_interval, resample
from roadclear.utils.arrays import Bools, Indices
from roadclear.utils.tables import number_or_none

COMPARED = ("accuracy", "balanced_accuracy", "roc_auc", "brier", "log_loss")
LESS_IS_BETTER = ("brier", "log_loss")

_LEVEL = 0.05
_SEED = 19470601
_BLOCK_CELLS = 2_000_000


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
        difference: b - a, with the percentile interval of the paired bootstrap.
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

    The intervals come from 1,000 bootstrap resamples (Efron and Tibshirani 1993, chapter 13). Each resample draws
    photos, or whole groups, and both models are measured on the same draw. See
    `roadclear.metrics.intervals.percentile_interval` for groups.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        a: predictions of model A.
        b: predictions of model B.
        groups: int [n], number of the group of each photo, such as the frames of one scene; None for no groups.

    Raises:
        DatasetError: there is no photo.
    """
    n = len(positive)
    if not n:
        raise DatasetError("expected photos to compare on, found none: give photos that neither model was trained on")
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
    n = len(positive)
    draw = np.random.default_rng(_SEED)
    block = max(1, min(RESAMPLES, _BLOCK_CELLS // n))
    differences: dict[str, list[NDArray[np.float64]]] = {name: [] for name in COMPARED}
    for start in range(0, RESAMPLES, block):
        weights = resample(draw, group, min(block, RESAMPLES - start))
        of_a, of_b = (weighted_metrics(positive, it.probability, it.predicted, weights) for it in (a, b))
        for name in COMPARED:
            differences[name].append(of_b[name] - of_a[name])
    ones = np.ones((1, n))
    of_a, of_b = (weighted_metrics(positive, it.probability, it.predicted, ones) for it in (a, b))
    return {
        name: _paired(float(of_a[name][0]), float(of_b[name][0]), np.concatenate(differences[name]), group)
        for name in COMPARED
    }


def _paired(a: float, b: float, differences: NDArray[np.float64], group: Indices) -> Paired:
    """Take the percentiles over the resamples in which the metric is defined."""
    return Paired(a, b, Estimate(b - a, percentile_interval(differences, group), len(group)))
