"""Label issues: labels that are probably wrong, by confident learning on out-of-fold probabilities of two classes.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70,
sections 3.1 (the confident joint) and 3.2 (ranking). A photo counts for a class when its probability reaches the mean
self-confidence of the class. A label is suggested as wrong when its photo counts for the other class.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError
from roadclear.utils.arrays import Bools, Probabilities


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Doubt about each label. Class 0 is the negative class, class 1 the positive class.

    Attributes:
        ranked: int [n], indices of the photos, the most doubtful label first. Ties keep their order.
        suggested: bool [n], whether the label is probably wrong: the off-diagonal of the confident joint.
        self_confidence: float64 [n] in [0, 1], probability of the given label.
        thresholds: for each class, the mean self-confidence of the photos with its label.
        joint: int [2, 2], the confident joint: photos by given label (row) and by the class they count for (column).
        wrong_share: for each class, the estimated share of wrong labels, in [0, 1].
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
        positive: bool [n], whether the label is the positive label. Photos of both labels are needed.
        probability: float64 [n] in [0, 1], out-of-fold probability of the positive class: from heads that saw neither
            the photo nor its group (see `roadclear.training.cross_validation`).

    Raises:
        DatasetError: all photos have one label, or a probability is not in [0, 1].
    """
    if not positive.any() or positive.all():
        raise DatasetError("expected photos of both labels to find wrong labels, found those of one: add the others")
    if not np.all((probability >= 0) & (probability <= 1)):
        raise DatasetError("expected out-of-fold probabilities from 0 to 1, found others: cross-validate all photos")
    own = np.where(positive, probability, 1 - probability)
    thresholds = np.array([own[~positive].mean(), own[positive].mean()])
    own_threshold, other_threshold = thresholds[positive.astype(np.intp)], thresholds[(~positive).astype(np.intp)]
    reaches_own = own >= own_threshold
    # A photo that reaches both thresholds counts for the likelier class (eq. 1); on a tie, for the given label.
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
    """Estimated share of wrong labels in one row of the confident joint (eq. 2)."""
    return float(wrong / row.sum()) if row.sum() else 0.0
