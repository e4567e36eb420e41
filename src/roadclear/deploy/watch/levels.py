"""Levels of a camera: which log-odds its frames have with and without people.

A model that is right on photos may still be biased on one fixed view: every frame of an empty crossing may get 0.7. The
bias is the same in all frames, so the frames themselves tell it. Their log-odds are a mixture of two normal
distributions of one width. Expectation-maximisation finds both means, with priors that hold where frames of one kind
are missing (Dempster, Laird and Rubin 1977; Bishop 2006, "Pattern Recognition and Machine Learning", section 9.3). The
evidence of a frame is then the log-likelihood ratio of the two distributions.

docs/watch.md has the measurements. Memory is one histogram.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.utils.arrays import Floats

_MIDDLE_SPREAD = 2.0
_DISTANCE, _DISTANCE_SPREAD, _LEAST_DISTANCE = 4.0, 1.5, 1.0
_WIDTH, _WIDTH_FRAMES = 1.3, 20.0
_SHARE, _SHARE_FRAMES = 0.25, 20.0
"""Priors, in log-odds and numbers of independent frames: middle of the means 0 +- 2, distance 4 +- 1.5, width 1.3,
and a quarter of the time with people."""

_ROUNDS = 50
_LIMIT, _STEP = 14.0, 0.1
_MEMORY_S = 3600.0
"""Seconds after which a frame counts 1/e: light and weather change."""


@dataclass(frozen=True)
class Levels:
    """Two normal distributions of log-odds.

    Attributes:
        middle: log-odds half-way between the two means: above it a frame speaks for people.
        distance: distance of the means in log-odds.
        width: standard deviation of both in log-odds.
    """

    middle: float
    distance: float
    width: float

    def evidence(self, log_odds: float) -> float:
        """Return the log-likelihood ratio of a frame's log-odds: above 0 for people."""
        return (log_odds - self.middle) * self.distance / self.width**2


AS_TRAINED = Levels(0.0, 1.0, 1.0)
"""Levels that leave the model's log-odds as they are."""


class LevelFinder:
    """Histogram of a camera's log-odds, from which its levels are found at any time."""

    def __init__(self) -> None:
        self._centres: Floats = np.arange(-_LIMIT, _LIMIT + _STEP / 2, _STEP)
        self._counts: Floats = np.zeros(len(self._centres))

    def add(self, log_odds: float, seconds: float) -> None:
        """Count a frame.

        Args:
            log_odds: of the positive class, from the model's threshold.
            seconds: time since the frame before. A frame counts as many independent frames, at most one.
        """
        self._counts *= np.exp(-seconds / _MEMORY_S)
        k = round((min(max(log_odds, -_LIMIT), _LIMIT) + _LIMIT) / _STEP)
        self._counts[k] += min(1.0, seconds)

    def find(self) -> Levels:
        """Return levels that are probable, given the frames and the priors."""
        seen = self._counts > 0
        return _fit(self._centres[seen], self._counts[seen])


def _fit(x: Floats, counts: Floats) -> Levels:
    """Find probable levels of log-odds x [n] that were seen so often [n].

    The climb starts from the model's own answer. The highest maximum would be another one where frames of one kind are
    missing: a camera that always sees people would pass for a biased camera that sees none.
    """
    middle, distance, width, share = 0.0, _DISTANCE, _WIDTH, _SHARE
    for _ in range(_ROUNDS):
        evidence = (x - middle) * distance / width**2 + np.log(share / (1 - share))
        high = counts / (1 + np.exp(np.clip(-evidence, -500, 500)))
        low = counts - high
        middle, distance = _means(x, low, high, width)
        off = low @ (x - middle + distance / 2) ** 2 + high @ (x - middle - distance / 2) ** 2
        width = float(np.sqrt((off + _WIDTH_FRAMES * _WIDTH**2) / (counts.sum() + _WIDTH_FRAMES)))
        share = float((high.sum() + _SHARE_FRAMES * _SHARE) / (counts.sum() + _SHARE_FRAMES))
    return Levels(middle, distance, width)


def _means(x: Floats, low: Floats, high: Floats, width: float) -> tuple[float, float]:
    """Find the most probable middle and distance of the means, by a linear equation of two unknowns."""
    n, difference = low.sum() + high.sum(), high.sum() - low.sum()
    left = np.array([[n, difference / 2], [difference / 2, n / 4]]) / width**2
    left += np.diag([1 / _MIDDLE_SPREAD**2, 1 / _DISTANCE_SPREAD**2])
    right = np.array([(low + high) @ x, (high - low) @ x / 2]) / width**2
    right[1] += _DISTANCE / _DISTANCE_SPREAD**2
    middle, distance = np.linalg.solve(left, right)
    return float(middle), max(float(distance), _LEAST_DISTANCE)
