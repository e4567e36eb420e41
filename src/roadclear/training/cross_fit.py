"""Cross-fitting: every photo outside the test split is judged by a head of another fold.

The judgements set the calibration and the promise. There are about five times as many of them as validation photos, and
no head chose its epoch on the photos that it judges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from roadclear.data.folds import Fold, draw_folds
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.model.decision.calibrated import HeldOut, calibrate
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.validation_scores import CROSS_VALIDATION, LINEAR_CROSS_VALIDATION, ValidationScores
from roadclear.model.fit import train_linears
from roadclear.model.heads import TrainedHead, probabilities, sigmoid
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.training.cross_validation import CrossValidation, CrossValidationData, cross_validate, test_folds
from roadclear.training.finetune.stage import finetune
from roadclear.training.heads import adapted_start, fit_heads
from roadclear.training.prepare import PreparedData
from roadclear.utils.arrays import Floats
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import available_cores, one_thread, ordered_map

FOLDS = 5


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Result of cross-fitting a recipe.

    Attributes:
        held_out: logits of the photos outside the test split, each by a model of another fold.
        crossed: metrics of the recipe over these photos.
    """

    held_out: HeldOut
    crossed: CrossValidation


def cross_fit(
    data: PreparedData,
    settings: TrainSettings,
    progress: ProgressCallback = no_progress,
    cluster: FinetuneCluster | None = None,
) -> CrossFit:
    """Train the whole recipe once in each of five folds of the photos outside the test split.

    Photos that the start of the training has seen are left out, because every fold's model has seen them.

    Args:
        data: prepared photos.
        settings: settings of the training; `unfreeze` must be a number.
        progress: called after every photo and every epoch.
        cluster: cluster that fine-tunes; None for this process.

    Raises:
        DatasetError: a label has too few groups for the folds, or a photo changed after it was prepared.
        OptionError, OutputError: see `roadclear.training.finetune.stage.finetune`.
    """
    used = data.without(data.is_in(TEST) | data.familiar)
    try:
        folds = draw_folds(used.targets, used.groups, FOLDS, 1, settings.seed)
    except DatasetError as error:
        raise DatasetError(
            f"expected photos of each label from more scenes than the {FOLDS} folds of --cross-fit, found too few: "
            "leave out --cross-fit, or add photos from more places"
        ) from error
    logits = np.empty(len(used.photos), np.float32)

    def predict_fold(fold: Fold) -> tuple[float, Floats]:
        chosen = replace(settings, seed=fold.seed)
        threshold, logits[fold.test], probability = _judge(used, fold, chosen, progress, cluster)
        return threshold, probability

    sample = CrossValidationData(used.embeddings, (), used.targets, used.groups)
    crossed = test_folds(sample, folds, settings, progress, predict_fold)
    return CrossFit(HeldOut(logits, used.targets, used.groups, CROSS_VALIDATION), crossed)


def frozen_scores(data: PreparedData, settings: TrainSettings) -> ValidationScores | None:
    """Cross-validate a head on the frozen base, on the photos outside the test split.

    Where the training only adapts the head of an earlier model, it is this head, on photos that the model has not seen.
    Otherwise it is the linear head.

    Returns:
        Probabilities of the photos. None where a label has too few groups for the folds, or where a whole head is
        trained on the base of an earlier model.
    """
    if data.start is None:
        return linear_scores(data, settings)
    adapted = adapted_start(data, settings)
    if adapted is None:
        return None
    used = data.without(data.is_in(TEST) | data.familiar)
    sample = CrossValidationData(used.embeddings, (), used.targets, used.groups, adapted)
    try:
        crossed = cross_validate(sample, settings, FOLDS, repeats=1)
    except DatasetError:
        return None
    return ValidationScores.of(used.targets == 1, crossed.probability, used.groups, CROSS_VALIDATION)


def linear_scores(data: PreparedData, settings: TrainSettings) -> ValidationScores | None:
    """Cross-validate the linear head on the photos outside the test split, in about 0.2 s for a thousand photos.

    Of more than 20,000 photos a sample of 20,000 is taken.

    Returns:
        Probabilities of these photos, each calibrated on the validation photos of its fold. None where a label has too
        few groups for the folds.
    """
    used = data.without(data.is_in(TEST)).sampled(settings.seed)
    embeddings = used.embeddings[:]
    try:
        folds = draw_folds(used.targets, used.groups, FOLDS, 1, settings.seed)
    except DatasetError:
        return None
    probability = np.empty(len(used.photos))
    # Two parts, whatever the number of cores: heads that are trained together differ from others by rounding.
    parts = folds[: FOLDS // 2], folds[FOLDS // 2 :]
    with one_thread():
        for part, trained in zip(
            parts, ordered_map(partial(_fit_linears, used), parts, available_cores()), strict=True
        ):
            for fold, head in zip(part, trained, strict=True):
                logits = head.head.logits(embeddings)
                temperature = fit_temperature(logits[fold.validation], used.targets[fold.validation])
                probability[fold.test] = sigmoid(logits[fold.test].astype(np.float64) / temperature)
    return ValidationScores.of(used.targets == 1, probability, used.groups, LINEAR_CROSS_VALIDATION)


def _fit_linears(data: PreparedData, folds: Sequence[Fold]) -> list[TrainedHead]:
    return train_linears([data.embeddings], data.targets, [(fold.train, fold.validation) for fold in folds])


def _judge(
    data: PreparedData,
    fold: Fold,
    settings: TrainSettings,
    progress: ProgressCallback,
    cluster: FinetuneCluster | None,
) -> tuple[float, NDArray[np.float32], Floats]:
    """Train on a fold: the threshold, and logits and calibrated probabilities [m] of its test photos."""
    splits = np.full(len(data.photos), TEST, dtype=object)
    splits[fold.train], splits[fold.validation] = TRAIN, VALIDATION
    placed = replace(data, splits=tuple(splits.tolist()))
    tuned = finetune(placed, fit_heads(placed, settings, progress).chosen, settings, progress, cluster)
    tuned.discard_checkpoint()
    calibrated = calibrate(tuned.head, placed.select(VALIDATION, tuned.embeddings), settings)
    tested = tuned.embeddings[fold.test]
    return calibrated.threshold, tuned.head.head.logits(tested), probabilities(calibrated.head, tested)
