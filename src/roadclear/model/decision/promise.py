"""Promise about answers: of the photos that are answered, at most a small share is answered wrongly.

A photo is answered where its log-odds are far enough from those of the threshold. All other photos are "unsure". The
unsure band is the narrowest band for which an upper confidence bound of the share of wrong answers keeps the promise.
The bound is that of Clopper and Pearson 1934 for the photos that are answered. Geifman and El-Yaniv 2017, "Selective
Classification for Deep Neural Networks", section 3, promise the same quantity. Angelopoulos et al. 2021, "Learn then
Test", have the general method.

Both papers divide the error probability among all bands that are tried. The bands here are nested, and each is tried
with the whole probability: in simulations the promise was then broken no more often than stated, and the divided
probability leaves most photos unsure. docs/promise.md has the measurements.

Photos in groups are right or wrong together. So all numbers of photos in the bound are multiplied by the share of
independent photos (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive
counts estimated from survey data").
"""

import json
import math
from dataclasses import asdict, dataclass

import numpy as np

from roadclear.errors import OptionError
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.validation_scores import STEPS, ValidationScores
from roadclear.model.settings import PromiseSettings
from roadclear.utils.arrays import Bools, Floats, Indices

# An answer that is wrong more often than this is "unsure", by the photo's own calibrated probability. Ten times the
# promised share was measured to be about the share of the least sure answers: docs/promise.md.
_OWN_ERROR = 10
_LEAST_OWN_ERROR, _LARGEST_OWN_ERROR = 0.1, 0.25
_LEAST_WIDTH = 1e-6
_GAP = 1e-9
_LEAST_PROBABILITY = 0.5 / STEPS
_LONGEST = 1_000


@dataclass(frozen=True)
class Promise:
    """Promise about the photos that are answered, and the photos behind the promise.

    Attributes:
        max_error: requested largest share of wrong answers, above 0.
        confidence: probability with which the bound holds for a training, in [0.5, 1).
        bound: upper bound of the share of wrong answers, 0 to 1.
        photos: number of photos that the band was set on.
        answered: number of these photos that are answered.
        wrong: number of wrong answers.
        independent: share of the photos that count as independent, in (0, 1].
        origin: origin of the probabilities; see `ValidationScores`.
    """

    max_error: float
    confidence: float
    bound: float
    photos: int
    answered: int
    wrong: int
    independent: float
    origin: str

    @property
    def kept(self) -> bool:
        """Whether the photos show that the requested share is kept."""
        return self.bound <= self.max_error

    @property
    def unsure(self) -> float:
        """Share of the photos with the answer "unsure"."""
        return 1 - self.answered / self.photos

    @property
    def stated(self) -> float:
        """Share of wrong answers that can be promised: the requested share, or the bound where the bound is higher."""
        return max(self.max_error, self.bound)

    @property
    def needed(self) -> int:
        """Number of independent photos that must be answered without a mistake to promise the requested share."""
        return math.ceil(math.log(1 - self.confidence) / math.log1p(-self.max_error) - 1e-9)

    def to_json(self) -> str:
        """Return the promise as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Promise":
        """Read a promise from JSON.

        Raises:
            ValueError, TypeError: the text is not what `to_json` writes.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"promise has {len(text):,} characters, at most {_LONGEST:,} are read")
        promise = cls(**json.loads(text))
        shares = promise.max_error, promise.confidence, promise.bound, promise.independent
        counts = promise.photos, promise.answered, promise.wrong
        if not all(type(share) is float and 0 <= share <= 1 for share in shares):
            raise ValueError("promise has shares that are not between 0 and 1")
        if not 0 < promise.max_error < 1 or not 0 < promise.confidence < 1:
            raise ValueError("promise has an impossible share or confidence")
        if not all(type(number) is int for number in counts) or promise.photos < 1:
            raise ValueError("promise has counts that are no counts")
        if not 0 <= promise.wrong <= promise.answered <= promise.photos:
            raise ValueError("promise has more wrong answers or answers than photos")
        if not isinstance(promise.origin, str) or not promise.origin.isprintable():
            raise ValueError("promise has an origin that is no text")
        return promise


def choose_band(
    scores: ValidationScores, threshold: float, settings: PromiseSettings
) -> tuple[UnsureBand, Promise | None]:
    """Compute the unsure band around a threshold, and what the band promises of the answered photos.

    Args:
        scores: probabilities of photos outside the training photos, with their labels.
        threshold: least probability of a positive prediction.
        settings: promise that is asked for.

    Returns:
        The band, and its promise; None where the settings ask for a coverage.
    """
    if settings.coverage is not None:
        return scores.band(threshold, settings.coverage), None
    return promised_band(scores, threshold, settings)


def promised_band(scores: ValidationScores, threshold: float, settings: PromiseSettings) -> tuple[UnsureBand, Promise]:
    """Compute the narrowest band around a threshold that keeps the promise about answered photos.

    The band is symmetric in log-odds. The band is not narrower than a floor: 0.1 to 0.9 around a threshold of 1/2, for
    a promise of up to 1%. The band leaves at most `settings.max_unsure` of the photos unsure, also where the floor
    would not. Where no band keeps the promise, the lowest bound takes the place of the promised share.

    Args:
        scores: probabilities of photos outside the training photos, with their labels.
        threshold: least probability of a positive prediction.
        settings: largest share of wrong answers, largest share of unsure photos, and confidence.

    Raises:
        OptionError: the settings ask for a coverage.
    """
    max_error = settings.promised_error
    if max_error is None:
        raise OptionError("expected a largest share of wrong answers, found a coverage: give max_error")
    bands = _try_bands(scores, threshold, _floor(max_error))
    photos = sum(scores.photos)
    few = np.flatnonzero(bands.answered >= (1 - settings.max_unsure) * photos)
    chosen = few[bands.is_wide[few]] if bands.is_wide[few].any() else few[-1:] if len(few) else np.zeros(1, np.intp)
    bounds = upper_bounds(bands.wrong[chosen], bands.answered[chosen], scores.independent, settings.confidence)
    first = int(np.flatnonzero(bounds <= max(max_error, float(bounds.min())))[0])
    at = int(chosen[first])
    promise = Promise(
        max_error=float(max_error),
        confidence=float(settings.confidence),
        bound=float(bounds[first]),
        photos=photos,
        answered=int(bands.answered[at]),
        wrong=int(bands.wrong[at]),
        independent=float(scores.independent),
        origin=scores.origin,
    )
    return UnsureBand(float(bands.low[at]), float(bands.high[at]), 0.0), promise


def upper_bounds(wrong: Indices, answered: Indices, independent: float, confidence: float) -> Floats:
    """Compute upper confidence bounds of shares of wrong answers (Clopper and Pearson 1934), one-sided.

    Args:
        wrong: int [n], numbers of wrong answers.
        answered: int [n], numbers of answers.
        independent: share of the photos that count as independent, in (0, 1].
        confidence: probability with which each bound holds.

    Returns:
        Bounds, float64 [n] in [0, 1]; 1 where all answers are wrong, or there is none.
    """
    from scipy.special import betaincinv

    right = (answered - wrong) * independent
    bounds = np.ones(len(wrong))
    some = right > 0
    bounds[some] = betaincinv(wrong[some] * independent + 1, right[some], confidence)
    return bounds


@dataclass(frozen=True, eq=False)
class _Bands:
    """Bands from the narrowest to the widest, and how photos outside of each are answered.

    Attributes:
        low: lower ends, float64 [b].
        high: upper ends, float64 [b].
        is_wide: bool [b], whether each band is at least as wide as the floor.
        answered: int [b], numbers of answered photos.
        wrong: int [b], numbers of wrong answers.
    """

    low: Floats
    high: Floats
    is_wide: Bools
    answered: Indices
    wrong: Indices


def _try_bands(scores: ValidationScores, threshold: float, floor: float) -> _Bands:
    """Try the floor, and the narrowest and the widest band between any two photos that are neighbours in distance."""
    centre = float(_log_odds(threshold))
    positive, negative = (np.array(values) / STEPS for values in (scores.positive, scores.negative))
    distances = np.unique(np.abs(_log_odds(np.concatenate([positive, negative])) - centre))
    ends = np.concatenate([distances * (1 - _GAP), distances * (1 + _GAP)])
    widths = np.unique([_LEAST_WIDTH, floor, *ends[ends > _LEAST_WIDTH]])
    low = np.minimum(1 / (1 + np.exp(widths - centre)), threshold)
    high = np.maximum(1 / (1 + np.exp(-widths - centre)), threshold)
    all_positive, all_negative = scores.photos
    of_positive = _at_most(np.searchsorted(positive, low, "left"), len(positive), all_positive)
    of_negative = _at_most(len(negative) - np.searchsorted(negative, high, "right"), len(negative), all_negative)
    right = _at_least(len(positive) - np.searchsorted(positive, high, "right"), len(positive), all_positive)
    right += _at_least(np.searchsorted(negative, low, "left"), len(negative), all_negative)
    wrong = of_positive + of_negative
    return _Bands(low, high, widths >= floor, right + wrong, wrong)


def _floor(max_error: float) -> float:
    """Compute the least distance in log-odds between the threshold and an end of the band."""
    own_error = min(max(_OWN_ERROR * max_error, _LEAST_OWN_ERROR), _LARGEST_OWN_ERROR)
    return float(_log_odds(1 - own_error))


def _at_most(found: Indices, kept: int, photos: int) -> Indices:
    """Bound a number of photos in a tail from above, where only some order statistics of the photos are kept.

    The k-th of s kept values has rank floor((n + 1) k / (s + 1)) among n. All values are kept for n = s.
    """
    return (photos + 1) * (found + 1) // (kept + 1) - 1


def _at_least(found: Indices, kept: int, photos: int) -> Indices:
    """Bound a number of photos in a tail from below; see `_at_most`."""
    return (photos + 1) * found // (kept + 1)


def _log_odds(probability: Floats | float) -> Floats:
    p = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.asarray(np.log(p / (1 - p)))
