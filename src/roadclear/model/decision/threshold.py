"""The threshold: from which probability on a photo is called positive, for a stated aim.

Heads are trained on label-balanced weights and calibrated, so a probability is that of the positive class where both
are equally common. Two aims follow from that alone: with costs of the two mistakes, the best threshold is
cost_fp / (cost_fp + cost_fn) (Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1), which for equal
costs, the balanced aim, is 1/2. A wished recall or precision has to be looked up on validation photos.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.metrics.classification import Bools, Probabilities
from roadclear.model.decision.aim import Aim


@dataclass(frozen=True, eq=False)
class Trade:
    """What every threshold between the given photos would do; all arrays are float64 [k].

    Attributes:
        thresholds: the middles between neighbouring probabilities, rising.
        gaps: the distance between these neighbours.
        recall: share of the positive photos at or above the threshold.
        specificity: share of the negative photos below it.
        precision: share of positive ones among the photos at or above it; 1 where there is none.
    """

    thresholds: NDArray[np.float64]
    gaps: NDArray[np.float64]
    recall: NDArray[np.float64]
    specificity: NDArray[np.float64]
    precision: NDArray[np.float64]


def trade(positive: Bools, probability: Probabilities) -> Trade:
    """Recall, specificity and precision over the threshold.

    Args:
        positive: [n], whether the photo is of the positive class.
        probability: [n], of the positive class, in [0, 1].
    """
    levels = np.unique(np.concatenate([[0.0, 1.0], probability.astype(np.float64)]))
    middles = (levels[1:] + levels[:-1]) / 2
    positives, negatives = int(positive.sum()), int((~positive).sum())
    hits = positives - _count_below(middles, probability[positive])
    rejected = _count_below(middles, probability[~positive])
    calls = hits + negatives - rejected
    # One division each: a recall of 2 in 10 must not fall short of 0.2 by a rounding error.
    return Trade(
        thresholds=middles,
        gaps=np.diff(levels),
        recall=hits / max(positives, 1),
        specificity=rejected / max(negatives, 1),
        precision=np.where(calls > 0, hits / np.maximum(calls, 1), 1.0),
    )


def choose_threshold(positive: Bools, probability: Probabilities, aim: Aim) -> float:
    """The threshold that serves an aim best.

    Among equally good ones the middle of the widest gap is taken, which leaves most room for new photos on either
    side. Where no threshold has the wished precision, the one that comes nearest is taken.

    Args:
        positive: [n], whether the (validation) photo is of the positive class.
        probability: [n], of the positive class, in [0, 1].
        aim: what it is for.

    Returns:
        A probability in (0, 1).
    """
    if aim.min_recall is None and aim.min_precision is None:
        return aim.cost_fp / (aim.cost_fp + aim.cost_fn)
    options = trade(positive, probability)
    if aim.min_recall is not None:
        merit = np.where(options.recall >= aim.min_recall, options.specificity, -1.0)
    else:
        reached = options.precision * (options.recall > 0)
        wished = min(aim.min_precision or 0.0, float(reached.max()))
        merit = np.where(reached >= wished, options.recall, -1.0)
    best = merit >= merit.max() - 1e-12
    return float(options.thresholds[best][np.argmax(options.gaps[best])])


def _count_below(limits: NDArray[np.float64], values: Probabilities) -> NDArray[np.intp]:
    return np.searchsorted(np.sort(values.astype(np.float64)), limits)
