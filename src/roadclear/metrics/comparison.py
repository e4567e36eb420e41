"""Is one model better than another? Both judge the same photos, and are compared photo by photo."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.metrics.classification import RESAMPLES, weighted_metrics
from roadclear.metrics.intervals import Estimate
from roadclear.utils.arrays import Bools

COMPARED = ("accuracy", "balanced_accuracy", "roc_auc", "brier", "log_loss")
LESS_IS_BETTER = ("brier", "log_loss")

_LEVEL = 0.05
_SEED = 19470601
_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of n photos.

    Attributes:
        probability: [n], of the positive class, in [0, 1].
        called: bool [n], whether the photo is called positive.
    """

    probability: NDArray[np.float64]
    called: Bools


@dataclass(frozen=True)
class Paired:
    """A metric of two models on the same photos.

    Attributes:
        a: its value for the first.
        b: its value for the second.
        difference: b - a, with the percentile interval of the paired bootstrap.
    """

    a: float
    b: float
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two models on the same photos.

    Attributes:
        n: number of photos.
        groups: number of groups that were resampled as wholes; n where every photo was a group of its own.
        only_a: photos that only the first answered rightly.
        only_b: photos that only the second answered rightly.
        p_value: of McNemar's test, see `mcnemar`.
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
        """Which model is better, "A" or "B"; None where they cannot be told apart.

        A model is called better when the interval of the difference in accuracy leaves out 0 and McNemar's test
        has p < 0.05. The first heeds groups, the second holds for any number of photos.
        """
        low, high = self.metrics["accuracy"].difference.ci95
        if self.p_value >= _LEVEL or low <= 0 <= high:
            return None
        return "B" if low > 0 else "A"


def compare(positive: Bools, a: Answers, b: Answers, groups: NDArray[np.intp] | None = None) -> Comparison:
    """Compare two models on the same labelled photos.

    The intervals are those of 1,000 bootstrap resamples (Efron and Tibshirani 1993, chapter 13). A resample draws
    photos, or whole groups where they are told, and both models are measured on the same draw.

    Args:
        positive: bool [n], whether the photo is of the positive class.
        a: of the first model.
        b: of the second.
        groups: int [n], photos that belong together, as frames of one scene do; None for none.

    Raises:
        DatasetError: there is no photo.
    """
    n = len(positive)
    if not n:
        raise DatasetError("expected photos to compare on, found none: give photos that neither model was trained on")
    _, group = np.unique(np.arange(n) if groups is None else groups, return_inverse=True)
    right_a, right_b = a.called == positive, b.called == positive
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
    """Two-sided p-value of McNemar's test, exact: that of a fair coin thrown only_a + only_b times.

    (McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages"; in
    the exact conditional form.) Unlike the mid-p and the chi-squared forms it never exceeds its level, with few
    photos too, for which it is a little shy of a verdict (Fagerland, Lydersen and Laake 2013).

    Args:
        only_a: photos that only the first answered rightly.
        only_b: photos that only the second answered rightly.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def describe_comparison(comparison: Comparison) -> str:
    """The outcome in words."""
    differently = comparison.only_a + comparison.only_b
    on = f"on {comparison.n:,} photos; {differently:,} were answered differently"
    if comparison.better is None:
        return f"A and B cannot be told apart {on}."
    return f"{comparison.better} is better {on}."


def _paired_metrics(positive: Bools, a: Answers, b: Answers, group: NDArray[np.intp]) -> dict[str, Paired]:
    n, groups = len(positive), int(group.max()) + 1
    draw = np.random.default_rng(_SEED)
    block = max(1, min(RESAMPLES, _BLOCK_CELLS // n))
    differences: dict[str, list[NDArray[np.float64]]] = {name: [] for name in COMPARED}
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start)
        weights = draw.multinomial(groups, np.full(groups, 1 / groups), size=size)[:, group].astype(np.float64)
        of_a, of_b = (weighted_metrics(positive, it.probability, it.called, weights) for it in (a, b))
        for name in COMPARED:
            differences[name].append(of_b[name] - of_a[name])
    ones = np.ones((1, n))
    of_a, of_b = (weighted_metrics(positive, it.probability, it.called, ones) for it in (a, b))
    return {
        name: _paired(float(of_a[name][0]), float(of_b[name][0]), np.concatenate(differences[name]), n)
        for name in COMPARED
    }


def _paired(a: float, b: float, differences: NDArray[np.float64], n: int) -> Paired:
    """A resample in which the metric is undefined is passed over."""
    defined = differences[np.isfinite(differences)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    return Paired(a, b, Estimate(b - a, (float(low), float(high)), n))
