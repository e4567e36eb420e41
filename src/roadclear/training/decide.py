"""A trained network -> the rules by which it answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.decision.calibrated import CalibratedHead, calibrate
from roadclear.model.decision.ood import OodReference, fit_ood_reference, ood_layer
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.blocks import FinetuneResult
from roadclear.training.prepare import PreparedData


@dataclass(frozen=True, eq=False)
class Decision:
    """How a model answers.

    Attributes:
        head: the calibrated head, with its threshold and unsure band.
        ood: what the model knows of its training photos.
        distances: float32 [n], of all usable photos to the training photos.
    """

    head: CalibratedHead
    ood: OodReference
    distances: NDArray[np.float32]


def decide(data: PreparedData, tuned: FinetuneResult, settings: TrainSettings) -> Decision:
    """Set temperature, threshold, unsure band and the limit of what is unfamiliar, on the validation photos."""
    head = calibrate(tuned.head, data.select(VALIDATION, tuned.embeddings), settings)
    vectors = tuned.ood_vectors
    ood = fit_ood_reference(
        vectors[data.numbers(TRAIN)], vectors[data.numbers(VALIDATION)], settings.seed, ood_layer(tuned.blocks)
    )
    return Decision(head, ood, ood.distances(vectors))
