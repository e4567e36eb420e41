"""Probabilities of the validation photos, kept in a model file so that another coverage can be chosen later.

At most 500 order statistics are kept for each label. They are chosen and rounded so that the unsure band from them is
never narrower than the band from all photos: see `ValidationScores.of`.
"""

import json
from dataclasses import dataclass

import numpy as np

from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.utils.arrays import Bools, Probabilities

MOST_SCORES = 500
"""Largest number of probabilities that are kept for a label."""

_STEPS = 10_000
_LONGEST = 20_000


@dataclass(frozen=True)
class ValidationScores:
    """Calibrated probabilities of the positive class of validation photos, in ten-thousandths and ascending order.

    Attributes:
        positive: of photos of the positive label, rounded down.
        negative: of photos of the negative label, rounded up.
    """

    positive: tuple[int, ...]
    negative: tuple[int, ...]

    @classmethod
    def of(cls, positive: Bools, probability: Probabilities) -> "ValidationScores":
        """Keep the probabilities of validation photos.

        Of n photos of a label with n above 500, 500 are kept: the k-th of them has rank floor((n + 1) k / 501). So its
        share k / 501 is at least the share of its rank among all photos, and the band can only become wider.

        Args:
            positive: bool [n], whether each photo is of the positive class. Both classes are needed.
            probability: float [n], probability of the positive class.
        """
        p = probability.astype(np.float64)
        low = _fewer(np.sort(p[positive]))
        high = 1 - _fewer(np.sort(1 - p[~positive]))[::-1]
        # The small number undoes what floating point adds to whole ten-thousandths.
        down, up = np.floor(low * _STEPS + 1e-6), np.ceil(high * _STEPS - 1e-6)
        return cls(tuple(down.astype(int).tolist()), tuple(up.astype(int).tolist()))

    def band(self, threshold: float, coverage: float) -> UnsureBand:
        """Compute the unsure band around a threshold as training does; see `unsure_band`.

        Args:
            threshold: least probability of a positive prediction.
            coverage: requested coverage, in [0.5, 1).
        """
        probability = np.array([*self.positive, *self.negative]) / _STEPS
        return unsure_band(np.arange(len(probability)) < len(self.positive), probability, threshold, coverage)

    def to_json(self) -> str:
        """Return the scores as JSON."""
        return json.dumps({"positive": self.positive, "negative": self.negative}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ValidationScores":
        """Read scores from JSON.

        Raises:
            ValueError: the text is not what `to_json` writes.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"validation has {len(text):,} characters, at most {_LONGEST:,} are read")
        values = json.loads(text)
        if not isinstance(values, dict) or set(values) != {"positive", "negative"}:
            raise ValueError("validation is not scores of two labels")
        for scores in values.values():
            if not isinstance(scores, list) or not 1 <= len(scores) <= MOST_SCORES:
                raise ValueError(f"validation has not 1 to {MOST_SCORES} scores of a label")
            if not all(type(score) is int and 0 <= score <= _STEPS for score in scores) or scores != sorted(scores):
                raise ValueError(f"validation has scores that are not ascending from 0 to {_STEPS}")
        return cls(tuple(values["positive"]), tuple(values["negative"]))


def _fewer(values: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    """Keep at most `MOST_SCORES` of ascending values."""
    if len(values) <= MOST_SCORES:
        return values
    ranks = (len(values) + 1) * np.arange(1, MOST_SCORES + 1) // (MOST_SCORES + 1)
    return values[ranks - 1]
