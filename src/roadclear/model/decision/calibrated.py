"""A trained head -> a calibrated one, with its threshold and its unsure band."""

from dataclasses import dataclass

from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.threshold import choose_threshold
from roadclear.model.heads import Head, TrainedHead, probabilities
from roadclear.model.settings import DecisionSettings
from roadclear.utils.arrays import Embeddings, Targets


@dataclass(frozen=True, eq=False)
class CalibratedHead:
    """A head that is ready to judge.

    Attributes:
        head: calibrated; its logits are those of `trained` divided by the temperature.
        threshold: photos with at least this probability are called positive.
        band: probabilities that are answered with "unsure".
        temperature: that was divided by.
        trained: the head as it was trained, with its history.
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
        trained: the head.
        validation: plain embeddings [m, 1280] and targets [m] of photos that it was not trained on.
        settings: what the threshold is for, and the coverage.
    """
    embeddings, truth = validation
    temperature = fit_temperature(trained.head.logits(embeddings), truth)
    head = trained.head.with_temperature(temperature)
    probability = probabilities(head, embeddings)
    threshold = choose_threshold(truth == 1, probability, settings)
    band = unsure_band(truth == 1, probability, threshold, settings.coverage)
    return CalibratedHead(head, threshold, band, temperature, trained)
