"""Which labels are probably wrong: confident learning on out-of-fold probabilities, for two classes.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, sections
3.1 (the confident joint) and 3.2 (ranking). A photo counts for a class when its probability reaches what is usual
for that class; photos that count for the other class than their label's are suggested as wrong.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.utils.arrays import Bools, Probabilities


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """How far each label is to be doubted. Class 0 is the negative one, class 1 the positive one.

    Attributes:
        ranked: int [n], the photos' indices, from the most to the least doubtful label. Ties keep their order.
        suggested: bool [n], whether the label is probably wrong: the off-diagonal of the confident joint.
        self_confidence: float64 [n] in [0, 1], the probability of the label that is given.
        thresholds: of the classes: the mean self-confidence of the photos that are labelled so.
        joint: int [2, 2], the confident joint: photos by given label (row) and by the class they count for (column).
        wrong_share: of the classes: the estimated share of its labels that are wrong, in [0, 1].
    """

    ranked: NDArray[np.intp]
    suggested: Bools
    self_confidence: Probabilities
    thresholds: tuple[float, float]
    joint: NDArray[np.int64]
    wrong_share: tuple[float, float]


def find_label_issues(positive: Bools, probability: Probabilities) -> LabelIssues:
    """Find labels that are probably wrong.

    Photos are ranked by self-confidence, the lowest first. With two classes the normalised margin of section 3.2,
    p(given) - p(other) = 2 p(given) - 1, gives the same order.

    Args:
        positive: bool [n], whether the label is the positive one. Photos of both labels are needed.
        probability: float64 [n] in [0, 1], of the positive class, from heads that did not see the photo nor what
            belongs with it (see `roadclear.training.cross_validation`).

    Raises:
        DatasetError: all photos have one label, or a probability is none.
    """
    if not positive.any() or positive.all():
        raise DatasetError("expected photos of both labels to find wrong labels, found those of one: add the others")
    if not np.all((probability >= 0) & (probability <= 1)):
        raise DatasetError("expected out-of-fold probabilities from 0 to 1, found others: cross-validate all photos")
    own = np.where(positive, probability, 1 - probability)
    thresholds = np.array([own[~positive].mean(), own[positive].mean()])
    own_threshold, other_threshold = thresholds[positive.astype(np.intp)], thresholds[(~positive).astype(np.intp)]
    reaches_own = own >= own_threshold
    # Of two classes that are reached the likelier one counts (eq. 1), and the given label where both are as likely.
    counts_for_other = (1 - own >= other_threshold) & ~(reaches_own & (own >= 1 - own))
    counts_for_own = reaches_own & ~counts_for_other
    joint = np.array([
        [np.sum(counts_for_own & ~positive), np.sum(counts_for_other & ~positive)],
        [np.sum(counts_for_other & positive), np.sum(counts_for_own & positive)],
    ], dtype=np.int64)  # fmt: skip
    return LabelIssues(
        ranked=np.argsort(own, kind="stable"),
        suggested=counts_for_other,
        self_confidence=own,
        thresholds=(float(thresholds[0]), float(thresholds[1])),
        joint=joint,
        wrong_share=(_share(joint[0, 1], joint[0]), _share(joint[1, 0], joint[1])),
    )


def _share(wrong: np.int64, row: NDArray[np.int64]) -> float:
    """Share of a label that is wrong: its row of the confident joint, scaled to the photos it has (eq. 2)."""
    return float(wrong / row.sum()) if row.sum() else 0.0
