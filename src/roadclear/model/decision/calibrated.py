"""Calibration of a trained head: temperature, threshold and unsure band, from photos outside the training photos."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.promise import Promise, choose_band
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.threshold import choose_threshold
from roadclear.model.decision.validation_scores import VALIDATION_PHOTOS, ValidationScores
from roadclear.model.heads import Head, TrainedHead, sigmoid
from roadclear.model.settings import DecisionSettings
from roadclear.utils.arrays import Indices, Targets
from roadclear.utils.rows import Rows
from roadclear.utils.threads import one_thread


@dataclass(frozen=True, eq=False)
class CalibratedHead:
    """A calibrated head with its decision rules.

    Attributes:
        head: head with the logits of `trained`, divided by the temperature.
        threshold: least probability of a positive prediction.
        band: probabilities with the answer "unsure".
        temperature: divisor of the logits, above 0.
        trained: head before calibration, with its history.
        scores: probabilities that set the band.
        promise: promise about answered photos; None where a coverage is promised.
    """

    head: Head
    threshold: float
    band: UnsureBand
    temperature: float
    trained: TrainedHead
    scores: ValidationScores
    promise: Promise | None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Logits of photos, each by a head that was not trained on the photo nor on its group.

    Attributes:
        logits: float32 [n], logits before calibration.
        targets: int64 [n], 1 for the positive class, else 0. Both classes are needed.
        groups: int [n], number of the group of each photo; None for no groups.
        origin: which photos and heads these are, in words; see `roadclear.model.decision.validation_scores`.
    """

    logits: NDArray[np.float32]
    targets: Targets
    groups: Indices | None = None
    origin: str = VALIDATION_PHOTOS

    def probability(self, temperature: float) -> NDArray[np.float64]:
        """Compute probabilities of the positive class, float64 [n], calibrated by a temperature."""
        return sigmoid(self.logits.astype(np.float64) / temperature)


def calibrate(trained: TrainedHead, validation: tuple[Rows, Targets], settings: DecisionSettings) -> CalibratedHead:
    """Calibrate a trained head on validation photos, and choose its threshold and unsure band.

    Args:
        trained: trained head.
        validation: plain embeddings [m, 1280] and targets [m] of photos outside the training photos.
        settings: aim of the threshold, and promise of the band.

    Raises:
        ValueError: a class has no photo, or a logit is NaN.
    """
    embeddings, targets = validation
    with one_thread():
        held_out = HeldOut(trained.head.logits(embeddings), targets)
    return calibrate_by(trained, held_out, settings)


def calibrate_by(
    trained: TrainedHead, held_out: HeldOut, settings: DecisionSettings, scores: ValidationScores | None = None
) -> CalibratedHead:
    """Calibrate a trained head by logits of held-out photos, and choose its threshold and unsure band.

    Args:
        trained: trained head.
        held_out: logits of photos outside the training photos: by the head itself, or by heads of the same recipe that
            were trained on other folds.
        settings: aim of the threshold, and promise of the band.
        scores: probabilities that set the band, where these are others than those of `held_out`.

    Raises:
        ValueError: a class has no photo, or a logit is NaN.
    """
    temperature = fit_temperature(held_out.logits, held_out.targets)
    probability = held_out.probability(temperature)
    of_band = scores or ValidationScores.of(held_out.targets == 1, probability, held_out.groups, held_out.origin)
    threshold = choose_threshold(held_out.targets == 1, probability, settings)
    band, promise = choose_band(of_band, threshold, settings)
    return CalibratedHead(
        trained.head.with_temperature(temperature), threshold, band, temperature, trained, of_band, promise
    )
