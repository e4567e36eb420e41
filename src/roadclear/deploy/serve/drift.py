"""Drift: whether the photos of today look to the model like the photos that it was validated on.

The statistic is the Kolmogorov-Smirnov distance between the model's probabilities for the last photos and those for the
validation photos (Rabanser, Günnemann and Lipton 2019, "Failing Loudly: An Empirical Study of Methods for Detecting
Dataset Shift", section 3: univariate tests on the outputs of a black box). A camera sees another mix of labels than
the validation photos. So the validation photos of both labels are mixed in the share that fits best, and a change of
the mix alone is no drift (Lipton, Wang and Smola 2018, "Detecting and Correcting for Label Shift with Black Box
Predictors").

The limit follows from the inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990), once for
the last photos and once for the validation photos of each label, of which the file says how many count as independent.
Independent photos like the validation photos exceed the limit with a probability of at most 1%.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.model.decision.validation_scores import STEPS, ValidationScores

WINDOW = 1000
"""Number of last photos that are compared."""

FALSE_ALARM = 0.01
"""Probability at most that photos without drift exceed the limit."""

_HALVINGS = 40


@dataclass(frozen=True)
class Drift:
    """Comparison of the last photos with the validation photos.

    Attributes:
        distance: Kolmogorov-Smirnov distance, 0 to 1.
        limit: distance that photos without drift exceed with a probability of at most 1%.
        positive_share: share of the positive label, 0 to 1, with which the validation photos fit best.
        photos: number of last photos.
    """

    distance: float
    limit: float
    positive_share: float
    photos: int


class RecentPhotos:
    """Last photos that were answered.

    Args:
        scores: probabilities of the validation photos; None for a model file that does not hold them.
    """

    def __init__(self, scores: ValidationScores | None) -> None:
        self._scores = scores
        self._probabilities: deque[float] = deque(maxlen=WINDOW)
        self._unfamiliar: deque[bool] = deque(maxlen=WINDOW)

    def add(self, probability: float, unfamiliar: bool) -> None:
        """Add a photo, and forget the oldest one where there are `WINDOW`."""
        self._probabilities.append(probability)
        self._unfamiliar.append(unfamiliar)

    def unfamiliar_share(self) -> float | None:
        """Share of unfamiliar photos, 0 to 1; None without a photo."""
        seen = list(self._unfamiliar)
        return sum(seen) / len(seen) if seen else None

    def drift(self) -> Drift | None:
        """Compare the photos with the validation photos; None without a photo or without validation probabilities."""
        seen = np.array(self._probabilities)
        return None if self._scores is None or not len(seen) else measure_drift(seen, self._scores)


def measure_drift(probabilities: NDArray[np.float64], scores: ValidationScores) -> Drift:
    """Compare probabilities with those of validation photos.

    Validation probabilities were rounded to ten-thousandths: down for positive and up for negative photos. The label of
    a photo of today is not known. So each photo stands for the whole step around its probability, and rounding is no
    drift.

    Args:
        probabilities: float64 [n] in [0, 1], probabilities of the positive class, n at least 1.
        scores: probabilities of the validation photos.
    """
    down = np.sort(np.ceil(probabilities * STEPS) - 1)
    up = np.sort(np.floor(probabilities * STEPS) + 1)
    positive, negative = np.array(scores.positive), np.array(scores.negative)
    places = np.unique(np.concatenate([down, up, positive, negative]))
    most, least = _share_below(down, places), _share_below(up, places)
    of_positive, of_negative = _share_below(positive, places), _share_below(negative, places)

    def distance(share: float) -> float:
        mixed = share * of_positive + (1 - share) * of_negative
        return float(max(0.0, np.max(mixed - most), np.max(least - mixed)))

    def limit(share: float) -> float:
        known = [_bound(len(kept) * scores.independent) for kept in (positive, negative)]
        return _bound(len(down)) + share * known[0] + (1 - share) * known[1]

    # The distance is convex in the share, and the limit is linear: a ternary search finds the least excess.
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if distance(left) - limit(left) <= distance(right) - limit(right):
            high = right
        else:
            low = left
    share = (low + high) / 2
    return Drift(distance(share), limit(share), share, len(down))


def _share_below(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of ascending values that are at most each place."""
    return np.searchsorted(values, places, side="right") / len(values)


def _bound(n: float) -> float:
    """Largest deviation of an empirical distribution of n values, with a third of the false alarms."""
    return math.sqrt(math.log(2 / (FALSE_ALARM / 3)) / (2 * n))
