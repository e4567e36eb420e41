"""Result of a training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.weights import BackboneWeights
from roadclear.metrics.classification import Evaluation
from roadclear.metrics.intervals import Estimate
from roadclear.metrics.reliability import Reliability
from roadclear.model.decision.calibrated import CalibratedHead
from roadclear.model.decision.ood import Ood
from roadclear.model.metadata import ModelFacts
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidation
from roadclear.training.finetune.blocks import DepthTrial
from roadclear.training.leakage import Leakage
from roadclear.training.prepare import PreparedData

LINEAR, ADAPTED, RECIPE = "linear", "adapted", "recipe"


@dataclass(frozen=True)
class CrossValidated:
    """Cross-validation: every photo is tested by a model that never saw its group.

    Attributes:
        folds: number of folds.
        accuracy: mean accuracy over the folds, with the interval of the corrected resampled t.
        balanced_accuracy: mean balanced accuracy over the folds, with the same kind of interval.
        of: "linear" for the linear head on the frozen base and all photos, "adapted" for the adapted head of the
            start and all photos that the start has not seen, or "recipe" for the recipe of the training and all photos
            outside the test split.
        sample: number of photos, where they are a sample of many photos; None for all photos.
    """

    folds: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    of: str = LINEAR
    sample: int | None = None

    @classmethod
    def of_folds(cls, crossed: CrossValidation, of: str, sample: int | None = None) -> "CrossValidated":
        """Take the metrics of a cross-validation of all photos, or of a sample."""
        return cls(crossed.folds, crossed.metrics["accuracy"], crossed.metrics["balanced_accuracy"], of, sample)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Result of a training: the model and its measurements.

    Attributes:
        model: content of the model file.
        weights: weights of the model's backbone.
        facts: facts in the model file.
        settings: settings of the training, with `positive` and `unfreeze` resolved.
        data: usable photos with their splits, and skipped photos.
        probabilities: float64 [n], probabilities of the positive class, for the usable photos.
        distances: float32 [n], distances of the usable photos to the training photos.
        evaluations: metrics of the validation and test split, by name, at the model's threshold.
        reliability: reliability on the validation and test split, by name.
        per_source: test accuracy by source; empty where no photo has a source.
        linear: metrics of the linear head on the frozen base, by split, at its own threshold.
        leakage: leakage in random splits, and in the used split.
        label_conflicts: relative paths of files with the same content under both labels, one tuple for each content.
        trials: tried numbers of unfrozen blocks with `unfreeze="auto"`. `settings.unfreeze` is the chosen number.
        head: calibrated head, with the history of its training or of the fine-tuning.
        ood: distance to the training photos, with its limit.
        timing: seconds by stage (`decode_s` summed over threads), and counts of photos and computed views.
        cross_validated: cross-validation of the recipe with `cross_fit`, else of the linear head; None where it was not
            asked for, or a label has too few groups for the folds.
        workers: number of processes of a Ray cluster that fine-tuned the network; None for this process.
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
    label_conflicts: tuple[tuple[str, ...], ...]
    trials: tuple[DepthTrial, ...]
    head: CalibratedHead
    ood: Ood
    timing: Mapping[str, float]
    cross_validated: CrossValidated | None = None
    workers: int | None = None
