"""Checks of what metrics are computed from. A number that is not a probability is refused, not counted as negative."""

import math

import numpy as np

from roadclear.errors import DatasetError
from roadclear.utils.arrays import Bools, Probabilities


def check_probabilities(probability: Probabilities) -> None:
    """Refuse probabilities that are not numbers from 0 to 1.

    Args:
        probability: float [n], probabilities of the positive class.

    Raises:
        DatasetError: a value is nan, infinite, below 0 or above 1.
    """
    wrong = ~((probability >= 0) & (probability <= 1))  # true for nan, too
    if wrong.any():
        first = float(probability[np.flatnonzero(wrong)[0]])
        raise DatasetError(
            f"expected probabilities from 0 to 1, found {first} (in {int(wrong.sum()):,} of {len(probability):,}): "
            "check what the model gives for these photos"
        )


def check_threshold(threshold: float) -> None:
    """Refuse a decision threshold that is not a number from 0 to 1.

    Raises:
        DatasetError: the threshold is nan, infinite, below 0 or above 1.
    """
    if not (math.isfinite(threshold) and 0 <= threshold <= 1):
        raise DatasetError(f"expected a decision threshold from 0 to 1, found {threshold}: check the model")


def check_both(positive: Bools) -> None:
    """Refuse photos of one class only, for which curves are undefined.

    Raises:
        DatasetError: all photos are of one class.
    """
    if positive.all() or not positive.any():
        raise DatasetError(f"expected photos of both classes, found {len(positive)} of one: add some of the other")
