"""Validation of a recipe on labelled photos: features, cross-validation, learning curve, and result files."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from roadclear.data.dataset import Dataset
from roadclear.data.folds import Fold, check_counts, draw_folds
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
from roadclear.images.decode import skipped_values
from roadclear.metrics.intervals import estimate_values
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.heads import probabilities
from roadclear.training.config import AUTO, TrainSettings
from roadclear.training.cross_validation import (
    FOLDS,
    REPEATS,
    CrossValidation,
    CrossValidationData,
    cross_validate,
    fit_fold,
)
from roadclear.training.finetune import check_ready
from roadclear.training.finetune.checkpoint import delete_checkpoint
from roadclear.training.finetune.stage import finetune
from roadclear.training.learning_curve import LearningPoint, describe_learning_curve, learning_curve
from roadclear.training.prepare import PreparedData, load_views, prepare, resolve_base
from roadclear.utils.arrays import Floats
from roadclear.utils.files import write_folder
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.tables import csv_bytes, to_json

CURVE_HEAD = "linear"
"""Head of the learning curve, on plain photos: as accurate as the dense head, in a small part of the time."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Cross-validation and learning curve of labelled photos.

    Attributes:
        data: tested photos with their groups, and skipped photos. The splits in `data` are not used.
        settings: settings of the training in every fold.
        crossed: result of the cross-validation.
        curve: learning curve of linear heads on the frozen base.
        seconds: seconds by stage: features, heads (fine-tuning included), curve, and total.
        unfrozen: [repeats * folds] number of fine-tuned blocks of every fold, repeat by repeat.
        left_out: number of photos that are left out, because the start has seen them. Where too few others remain, no
            photo is left out, and `data.seen` tells which photos flatter the numbers.
    """

    data: PreparedData
    settings: TrainSettings
    crossed: CrossValidation
    curve: tuple[LearningPoint, ...]
    seconds: Mapping[str, float]
    unfrozen: tuple[int, ...] = ()
    left_out: int = 0


def validate(
    dataset: Dataset,
    settings: TrainSettings,
    cache: FeatureCache,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
) -> Validation:
    """Cross-validate a recipe on labelled photos, and measure the learning curve.

    Prescribed splits are ignored: every photo is tested in turn. Unfrozen blocks are fine-tuned again in every fold.
    With `unfreeze="auto"` every fold chooses its number of blocks for itself, on its own validation photos: the choice
    is a part of the recipe that is measured.

    Photos that the start has seen are left out, where enough others remain.

    A killed validation keeps the finished folds, and continues with the next fold. With "auto" a fold keeps the
    training of the chosen number, and tries the others again.

    Args:
        dataset: labelled photos.
        settings: settings of the training in every fold.
        cache: feature cache.
        folds: number of folds, at least 2.
        repeats: number of repeats, each with other folds, at least 1.
        progress: called with the stage, the finished amount and the total amount.

    Raises:
        DatasetError: a label has too few photos, or fewer groups than there are folds.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    check_counts(folds, repeats)
    check_ready(settings)
    started = time.perf_counter()
    undivided = replace(dataset, photos=tuple(replace(photo, split=None) for photo in dataset.photos))
    everything = prepare(undivided, settings, cache, progress)
    data = _testable(everything, folds, settings.seed)
    views = load_views(data, range(len(data.photos)), settings.views, progress)
    start = data.head_of_start(settings.head)
    sample = CrossValidationData(data.embeddings, views, data.targets, data.groups, start)
    extracted = time.perf_counter()
    tuning = _FineTuning(sample, data, settings, folds * repeats, progress)
    predict_fold = tuning.predict_fold if settings.unfreeze else None
    crossed = cross_validate(sample, settings, folds, repeats, progress, predict_fold)
    predicted = time.perf_counter()
    plain, curve_settings = replace(sample, views=(), start=None), replace(settings, head=CURVE_HEAD)
    curve = learning_curve(plain, curve_settings, folds=folds, repeats=repeats, progress=progress)
    for checkpoint in tuning.checkpoints:
        delete_checkpoint(checkpoint)
    ended = time.perf_counter()
    return Validation(
        data=data,
        settings=resolve_base(settings, data),
        crossed=crossed,
        curve=curve,
        seconds={
            "features": extracted - started,
            "heads": predicted - extracted,
            "curve": ended - predicted,
            "total": ended - started,
        },
        unfrozen=tuple(tuning.unfrozen) or (0,) * len(crossed.evaluations),
        left_out=len(everything.photos) - len(data.photos),
    )


def _testable(data: PreparedData, folds: int, seed: int) -> PreparedData:
    """Leave out the groups with photos that the start has seen; nothing where too few photos would remain."""
    if not data.seen.any():
        return data
    unseen = data.without(data.familiar)
    try:
        draw_folds(unseen.targets, unseen.groups, folds, 1, seed)
    except DatasetError:
        return data
    return unseen


def validation_values(validation: Validation) -> dict[str, Any]:
    """Convert a validation to the plain values of validation.json. Undefined numbers become None."""
    crossed = validation.crossed
    return {
        "positive": validation.data.positive,
        "negative": validation.data.negative,
        "photos": crossed.n,
        "groups": len(np.unique(validation.data.groups)),
        "head": crossed.kind,
        "unfrozen": validation.settings.unfreeze,
        **({"unfrozen_by_fold": list(validation.unfrozen)} if validation.settings.unfreeze == AUTO else {}),
        **_start_values(validation),
        "folds": crossed.folds,
        "repeats": crossed.repeats,
        "metrics": _metrics_values(validation),
        "learning_curve": {
            "head": CURVE_HEAD,
            "points": [
                {"share": point.share, "photos": point.photos, "accuracy": estimate_values(point.accuracy)}
                for point in validation.curve
            ],
            "verdict": describe_learning_curve(validation.curve),
        },
        "options": asdict(validation.settings),
        "seconds": {stage: round(value, 3) for stage, value in validation.seconds.items()},
        "skipped": skipped_values(validation.data.skipped),
    }


def _start_values(validation: Validation) -> dict[str, Any]:
    """Say what the folds started from, and how many photos were seen there; nothing without a start."""
    data = validation.data
    if data.start is None:
        return {}
    seen = {"left_out": validation.left_out, "tested": int(data.seen.sum())}
    return {"start": {"name": data.start.name, "sha256": data.start.sha256, "seen": seen}}


def write_validation(folder: str | os.PathLike[str], validation: Validation) -> None:
    """Write a folder with validation.json, out_of_fold.csv and learning_curve.csv, whole or not at all.

    Raises:
        OutputError: the folder exists, or cannot be written.
    """
    files = {
        "validation.json": (to_json(validation_values(validation)) + "\n").encode(),
        "out_of_fold.csv": _out_of_fold(validation),
        "learning_curve.csv": _curve(validation.curve),
    }
    write_folder(folder, files)


@dataclass(frozen=True, eq=False)
class _FineTuning:
    """Fine-tuning of folds, one after the other.

    Attributes:
        sample: embeddings of the photos.
        data: the same photos with their files.
        settings: settings of the training.
        folds: number of folds in all repeats.
        progress: called after every photo and every epoch.
        checkpoints: checkpoints of the finished folds, so that a killed validation loses no finished fold.
        unfrozen: number of fine-tuned blocks of every finished fold.
        totals: amount of a stage in one fold, as the stage first said.
    """

    sample: CrossValidationData
    data: PreparedData
    settings: TrainSettings
    folds: int
    progress: ProgressCallback
    checkpoints: list[Path] = field(default_factory=list)
    unfrozen: list[int] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)

    def predict_fold(self, fold: Fold) -> tuple[float, Floats]:
        """Fine-tune on a fold: the threshold, and P(positive class) of the test photos, float64 [m]."""
        settings = replace(self.settings, seed=fold.seed)
        head = fit_fold(self.sample, fold, settings).trained
        data = self._with_splits(fold)
        tuned = finetune(data, head, settings, self._report_share)
        self.unfrozen.append(tuned.blocks)
        if tuned.checkpoint is not None:
            self.checkpoints.append(tuned.checkpoint)
        held_out = tuned.embeddings[fold.validation], data.targets[fold.validation]
        calibrated = calibrate(tuned.head, held_out, settings)
        return calibrated.threshold, probabilities(calibrated.head, tuned.embeddings[fold.test])

    def _with_splits(self, fold: Fold) -> PreparedData:
        splits = np.full(len(self.data.photos), TEST, dtype=object)
        splits[fold.train], splits[fold.validation] = TRAIN, VALIDATION
        return replace(self.data, splits=tuple(splits.tolist()))

    def _report_share(self, stage: str, done: int, total: int) -> None:
        """Report a fold's progress as progress of the stage in all folds. A stage that stops early is whole."""
        whole = self.totals.setdefault(stage, total)
        self.progress(stage, len(self.unfrozen) * whole + whole * done // total, self.folds * whole)


def _metrics_values(validation: Validation) -> dict[str, Any]:
    """Convert every metric: the mean with its interval, and the value in every fold."""
    crossed = validation.crossed
    return {
        name: estimate_values(mean)
        | {"by_fold": [estimate_values(fold.metrics[name])["value"] for fold in crossed.evaluations]}
        for name, mean in crossed.metrics.items()
    }


def _out_of_fold(validation: Validation) -> bytes:
    crossed, data = validation.crossed, validation.data
    rows = [
        [
            photo.file,
            photo.label,
            group,
            probability,
            data.positive if predicted else data.negative,
            "yes" if correct else "no",
        ]
        for photo, group, probability, predicted, correct in zip(
            data.photos,
            data.groups.tolist(),
            crossed.probability.tolist(),
            crossed.predicted.tolist(),
            crossed.correct.tolist(),
            strict=True,
        )
    ]
    return csv_bytes(("file", "label", "group", "probability", "predicted", "correct"), rows)


def _curve(points: Sequence[LearningPoint]) -> bytes:
    rows = [[point.share, point.photos, point.accuracy.value, *point.accuracy.ci95] for point in points]
    return csv_bytes(("share", "photos", "accuracy", "ci95_low", "ci95_high"), rows)
