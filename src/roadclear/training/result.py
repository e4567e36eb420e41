"""What a training gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.weights import BackboneWeights
from roadclear.metrics.classification import Evaluation
from roadclear.metrics.intervals import Estimate
from roadclear.metrics.reliability import Reliability
from roadclear.model.decision.calibrated import CalibratedHead
from roadclear.model.decision.ood import OodReference
from roadclear.model.metadata import ModelFacts
from roadclear.training.config import TrainSettings
from roadclear.training.finetune.blocks import DepthTrial
from roadclear.training.leakage import Leakage
from roadclear.training.prepare import PreparedData


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training gives.

    Attributes:
        model: content of the model file.
        weights: of its backbone.
        facts: what the model file says of itself.
        settings: how it was trained, `positive` and `unfreeze` resolved.
        data: the usable photos with their splits, and the skipped ones.
        probabilities: float64 [n] of the positive class, for the usable photos.
        distances: float32 [n] to the training photos, for the usable photos.
        evaluations: of the splits beside train, by name, at the chosen threshold.
        reliability: of the splits beside train, by name.
        per_source: test accuracy by source, where sources are told.
        linear: evaluations of the linear reference head on the frozen base, at a threshold of its own.
        leakage: how much a split that parts groups would flatter.
        trials: of numbers of blocks to unfreeze, where that was left to us; the chosen one is in `settings`.
        head: the head, with the history of its training, or of the fine-tuning where blocks were unfrozen.
        ood: what the model knows of its training photos.
        timing: seconds by stage (`decode_s` summed over threads), and counts of photos and computed views.
    """

    model: bytes
    weights: BackboneWeights
    facts: ModelFacts
    settings: TrainSettings
    data: PreparedData
    probabilities: NDArray[np.float64]
    distances: NDArray[np.float32]
    evaluations: Mapping[str, Evaluation]
    reliability: Mapping[str, Reliability]
    per_source: Mapping[str, Estimate]
    linear: Mapping[str, Evaluation]
    leakage: Leakage
    trials: tuple[DepthTrial, ...]
    head: CalibratedHead
    ood: OodReference
    timing: Mapping[str, float]
