"""Random numbers for drawings: many small draws from one seeded stream, generated in blocks for speed."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

_AT_A_TIME = 512


class Chance:
    """Stream of random numbers. Equal keys give equal streams.

    Args:
        key: seeds of the stream, integers from 0 up.
    """

    def __init__(self, *key: int) -> None:
        self._generator = np.random.default_rng(key)
        self._ahead: list[float] = []

    def unit(self) -> float:
        """Draw a number in [0, 1)."""
        if not self._ahead:
            self._ahead = self._generator.random(_AT_A_TIME).tolist()
        return self._ahead.pop()

    def between(self, low: float, high: float) -> float:
        """Draw a number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """Draw a whole number in [low, high], both included."""
        return low + int(self.unit() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        """Draw True with a probability."""
        return self.unit() < probability

    def pick(self, options: Sequence[Option]) -> Option:
        """Draw one of the options. An option that is listed twice is twice as likely."""
        return options[int(self.unit() * len(options))]
