"""Calibration of a trained head: temperature, threshold and unsure band, from validation photos."""

from dataclasses import dataclass

from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.threshold import choose_threshold
from roadclear.model.heads import Head, TrainedHead, probabilities
from roadclear.model.settings import DecisionSettings
from roadclear.utils.arrays import Embeddings, Targets


@dataclass(frozen=True, eq=False)
class CalibratedHead:
    """A calibrated head with its decision rules.

    Attributes:
        head: head with the logits of `trained`, divided by the temperature.
        threshold: least probability of a positive prediction.
        band: probabilities with the answer "unsure".
        temperature: divisor of the logits, above 0.
        trained: head before calibration, with its history.
    """

    head: Head
    threshold: float
    band: UnsureBand
    temperature: float
    trained: TrainedHead


def calibrate(
    trained: TrainedHead, validation: tuple[Embeddings, Targets], settings: DecisionSettings
) -> CalibratedHead:
    """Calibrate a trained head, and choose its threshold and unsure band.

    Args:
        trained: trained head.
        validation: plain embeddings [m, 1280] and targets [m] of photos outside the training photos.
        settings: aim of the threshold, and coverage.
    """
    embeddings, targets = validation
    temperature = fit_temperature(trained.head.logits(embeddings), targets)
    head = trained.head.with_temperature(temperature)
    probability = probabilities(head, embeddings)
    threshold = choose_threshold(targets == 1, probability, settings)
    band = unsure_band(targets == 1, probability, threshold, settings.coverage)
    return CalibratedHead(head, threshold, band, temperature, trained)
