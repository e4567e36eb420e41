"""Chance for drawings: many small draws from one seeded stream, without the cost of asking NumPy for each."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

_AT_A_TIME = 512


class Chance:
    """A stream of draws; equal keys give equal draws.

    Args:
        key: numbers from 0 up.
    """

    def __init__(self, *key: int) -> None:
        self._generator = np.random.default_rng(key)
        self._ahead: list[float] = []

    def unit(self) -> float:
        """A number in [0, 1)."""
        if not self._ahead:
            self._ahead = self._generator.random(_AT_A_TIME).tolist()
        return self._ahead.pop()

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number in [low, high], both included."""
        return low + int(self.unit() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options; to make one likelier, give it more than once."""
        return options[int(self.unit() * len(options))]
