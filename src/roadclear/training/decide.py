"""Decision rules of a trained network, set on the validation photos."""

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
    """Decision rules of a model.

    Attributes:
        head: calibrated head, with threshold and unsure band.
        ood: reference vectors of the training photos, and the limit of the distance.
        distances: float32 [n], distances of all usable photos to the training photos.
    """

    head: CalibratedHead
    ood: OodReference
    distances: NDArray[np.float32]


def decide(data: PreparedData, tuned: FinetuneResult, settings: TrainSettings) -> Decision:
    """Set temperature, threshold, unsure band and the limit of unfamiliar photos, on the validation photos.

    Args:
        data: prepared photos.
        tuned: network and trained head.
        settings: aim of the threshold, coverage and seed.
    """
    head = calibrate(tuned.head, data.select(VALIDATION, tuned.embeddings), settings)
    vectors = tuned.ood_vectors
    ood = fit_ood_reference(
        vectors[data.numbers(TRAIN)], vectors[data.numbers(VALIDATION)], settings.seed, ood_layer(tuned.blocks)
    )
    return Decision(head, ood, ood.distances(vectors))
