"""Probabilities of photos that a head was not trained on. They set the unsure band.

The photos are the validation photos, or all photos outside the test split, each judged by a head of another fold. A
model file keeps the probabilities, so that another promise can be chosen later.

A file keeps at most 500 order statistics of each label. They are chosen and rounded so that the unsure band from
them is never narrower than the band from all photos: see `ValidationScores.thinned`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from roadclear.metrics.intervals import effective_size
from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.utils.arrays import Bools, Indices, Probabilities

MOST_SCORES = 500
"""Largest number of probabilities that are kept for a label."""

STEPS = 10_000
"""Probabilities are kept in steps of 1 / STEPS."""

_LONGEST = 20_000
_LONGEST_EVIDENCE = 1_000

VALIDATION_PHOTOS = "validation photos"
CROSS_VALIDATION = "cross-validation"
LINEAR_CROSS_VALIDATION = "cross-validation of the linear head"


@dataclass(frozen=True)
class ValidationScores:
    """Calibrated probabilities of the positive class, in ten-thousandths and ascending order.

    Attributes:
        positive: probabilities of photos of the positive label, rounded down.
        negative: probabilities of photos of the negative label, rounded up.
        counts: numbers of photos of the positive and of the negative label; None where all probabilities are kept.
        independent: share of the photos that count as independent, in (0, 1].
        origin: photos that the probabilities are of, in words.
    """

    positive: tuple[int, ...]
    negative: tuple[int, ...]
    counts: tuple[int, int] | None = None
    independent: float = 1.0
    origin: str = VALIDATION_PHOTOS

    @classmethod
    def of(
        cls,
        positive: Bools,
        probability: Probabilities,
        groups: Indices | None = None,
        origin: str = VALIDATION_PHOTOS,
    ) -> "ValidationScores":
        """Sort and round the probabilities of photos.

        Args:
            positive: bool [n], whether each photo is of the positive class. Both classes are needed.
            probability: float [n] in [0, 1], probability of the positive class.
            groups: int [n], number of the group of each photo. Photos of one group are right or wrong together. None
                for no groups.
            origin: photos that the probabilities are of, in words.

        Raises:
            ValueError: a class has no photo, or a probability is not between 0 and 1.
        """
        p = np.asarray(probability, np.float64)
        if not positive.any() or positive.all():
            raise ValueError("expected photos of both classes, found photos of at most one")
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError("expected probabilities from 0 to 1, found another number")
        # The small number undoes what floating point adds to whole ten-thousandths.
        down, up = np.floor(np.sort(p[positive]) * STEPS + 1e-6), np.ceil(np.sort(p[~positive]) * STEPS - 1e-6)
        independent = 1.0 if groups is None else effective_size((p >= 0.5) != positive, groups) / len(p)
        return cls(
            tuple(down.astype(int).tolist()), tuple(up.astype(int).tolist()), independent=independent, origin=origin
        )

    def thinned(self) -> "ValidationScores":
        """Keep at most 500 probabilities of each label.

        Of n probabilities the k-th that is kept has rank floor((n + 1) k / 501). So its share k / 501 is at least the
        share of its rank, and a band can only become wider.
        """
        negative = tuple(STEPS - value for value in _fewer([STEPS - value for value in reversed(self.negative)]))
        positive = tuple(_fewer(self.positive))
        counts = None if (len(positive), len(negative)) == self.photos else self.photos
        return replace(self, positive=positive, negative=negative[::-1], counts=counts)

    @property
    def photos(self) -> tuple[int, int]:
        """Numbers of photos of the positive and of the negative label."""
        return self.counts or (len(self.positive), len(self.negative))

    def band(self, threshold: float, coverage: float) -> UnsureBand:
        """Compute the unsure band around a threshold as training does; see `unsure_band`.

        Args:
            threshold: least probability of a positive prediction.
            coverage: requested coverage, in [0.5, 1).
        """
        probability = np.array([*self.positive, *self.negative]) / STEPS
        return unsure_band(np.arange(len(probability)) < len(self.positive), probability, threshold, coverage)

    def to_json(self) -> str:
        """Return the scores as JSON."""
        return json.dumps({"positive": self.positive, "negative": self.negative}, separators=(",", ":"))

    def evidence(self) -> str:
        """Return as JSON what the scores are of."""
        return json.dumps({"photos": self.photos, "independent": self.independent, "origin": self.origin})

    @classmethod
    def from_json(cls, text: str, evidence: str | None = None) -> "ValidationScores":
        """Read scores from JSON.

        Args:
            text: what `to_json` wrote.
            evidence: what `evidence` wrote; None for a file without it.

        Raises:
            KeyError, TypeError, ValueError: a text is not what was written.
        """
        for name, given, longest in (("validation", text, _LONGEST), ("evidence", evidence or "", _LONGEST_EVIDENCE)):
            if len(given) > longest:
                raise ValueError(f"{name} has {len(given):,} characters, at most {longest:,} are read")
        values = json.loads(text)
        if not isinstance(values, dict) or set(values) != {"positive", "negative"}:
            raise ValueError("validation is not scores of two labels")
        return cls.from_values(values if evidence is None else values | _counts_of(json.loads(evidence)))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "ValidationScores":
        """Make scores from plain values, by the names of the attributes.

        Raises:
            KeyError, TypeError, ValueError: a value is impossible.
        """
        for scores in (values["positive"], values["negative"]):
            if not isinstance(scores, list) or not 1 <= len(scores) <= MOST_SCORES:
                raise ValueError(f"validation has not 1 to {MOST_SCORES} scores of a label")
            if not all(type(score) is int and 0 <= score <= STEPS for score in scores) or scores != sorted(scores):
                raise ValueError(f"validation has scores that are not ascending from 0 to {STEPS}")
        made = cls(tuple(values["positive"]), tuple(values["negative"]))
        kept, given = made.photos, values.get("counts")
        counts = kept if given is None else tuple(given)
        independent, origin = values.get("independent", 1.0), values.get("origin", VALIDATION_PHOTOS)
        if len(counts) != 2 or not all(type(n) is int for n in counts):
            raise ValueError("evidence has no two counts of photos")
        if any(n < m or (n > m and m < MOST_SCORES) for n, m in zip(counts, kept, strict=True)):
            raise ValueError("evidence has counts that do not fit the scores")
        if type(independent) is not float or not 0 < independent <= 1:
            raise ValueError("evidence has an impossible share of independent photos")
        if not isinstance(origin, str) or not origin.isprintable() or len(origin) > _LONGEST_EVIDENCE:
            raise ValueError("evidence has an origin that is no text")
        return replace(made, counts=None if counts == kept else counts, independent=independent, origin=origin)


def _counts_of(evidence: Any) -> dict[str, Any]:
    if not isinstance(evidence, dict) or set(evidence) != {"photos", "independent", "origin"}:
        raise ValueError("evidence is not of scores")
    if not isinstance(evidence["photos"], list):
        raise ValueError("evidence has no two counts of photos")
    return {"counts": evidence["photos"], "independent": evidence["independent"], "origin": evidence["origin"]}


def _fewer(values: Sequence[int]) -> Sequence[int]:
    """Keep at most `MOST_SCORES` of ascending values."""
    n = len(values)
    if n <= MOST_SCORES:
        return values
    return [values[(n + 1) * k // (MOST_SCORES + 1) - 1] for k in range(1, MOST_SCORES + 1)]
