"""Cross-validation of labelled photos, whole: features, folds, learning curve, and the files that tell of them."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.folds import Floats, Fold, check_counts
from roadclear.data.groups import GroupingRule
from roadclear.data.split import SHARES, TEST, TRAIN, VALIDATION
from roadclear.errors import OptionError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import FeatureExtractor, FeatureSpace
from roadclear.images.augment import AugmentationPolicy
from roadclear.model.fit import calibrate
from roadclear.model.heads import Embeddings, probabilities
from roadclear.training.config import AUTO, TrainingOptions
from roadclear.training.cross_validation import (
    FOLDS,
    REPEATS,
    CrossValidation,
    LearningPoint,
    Sample,
    cross_validate,
    fit_fold,
    learning_curve,
    verdict,
)
from roadclear.training.finetune.stage import Frozen, unfreeze
from roadclear.training.prepare import Placement, Report, extract_placed, place
from roadclear.training.run_folder import csv_bytes, estimate_values, skipped_values, to_json
from roadclear.utils.files import write_folder

CURVE_HEAD = "linear"
"""Head of the learning curve: as good as the dense one here, in a fiftieth of the time."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Cross-validation of labelled photos.

    Attributes:
        placement: the usable photos with their groups, and the skipped ones; its parts mean nothing here.
        labels: the positive label and the other one.
        options: that heads, and the blocks that were unfrozen, were trained with.
        crossed: what cross-validation gave.
        curve: accuracy over the number of photos, of linear heads on the frozen base.
        seconds: by stage: features, heads (with their fine-tuning), curve, and total.
    """

    placement: Placement
    labels: tuple[str, str]
    options: TrainingOptions
    crossed: CrossValidation
    curve: tuple[LearningPoint, ...]
    seconds: Mapping[str, float]


def validate(
    photos: Sequence[LabelledPhoto],
    labels: tuple[str, str],
    positive: str,
    options: TrainingOptions,
    cache: FeatureCache,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    report: Report = lambda stage, done, total: None,
) -> Validation:
    """Cross-validate the recipe on labelled photos, and draw their learning curve.

    Parts that folders or a table prescribe are passed over: every photo is tested on in turn. Where blocks are
    unfrozen, every fold is fine-tuned anew; a validation that was killed finds the folds that it had done.

    Args:
        photos: all photos, with their labels.
        labels: the two labels.
        positive: one of them.
        options: of the training in each fold; `unfreeze` must be a number.
        cache: where embeddings are kept.
        folds: in how many to part the photos, at least 2.
        repeats: how often, at least 1.
        report: told about progress.

    Raises:
        DatasetError: too few photos of a label, or too few groups for so many folds.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    check_counts(folds, repeats)
    _check_unfreezing(options)
    started = time.perf_counter()
    weights = load_weights(options.weights, _path(options.weights_file), options.download_weights)
    space = FeatureSpace(weights, options.size, options.engine, options.precision)
    extractor = FeatureExtractor(space, AugmentationPolicy(options.rotation, options.zoom, options.flip), cache)
    rule = GroupingRule(options.group_by, options.group_by_page, options.group_by_author)
    undivided = [replace(photo, split=None) for photo in photos]
    placement = place(undivided, labels, extractor, rule, options.seed, SHARES, report)
    targets = np.array([photo.label == positive for photo in placement.photos], dtype=np.int64)
    views = _views(placement, extractor, options.views, report)
    sample = Sample(placement.embeddings, views, targets, placement.groups)
    extracted = time.perf_counter()
    tuning = _FineTuning(sample, placement, extractor, options, folds * repeats, report)
    judge = tuning.judge if options.unfreeze else None
    crossed = cross_validate(sample, options, options.head, folds, repeats, report, judge)
    judged = time.perf_counter()
    curve = learning_curve(sample, options, CURVE_HEAD, folds=folds, repeats=repeats, report=report)
    for checkpoint in tuning.checkpoints:
        checkpoint.unlink(missing_ok=True)
    ended = time.perf_counter()
    return Validation(
        placement=placement,
        labels=(positive, next(label for label in labels if label != positive)),
        options=options,
        crossed=crossed,
        curve=curve,
        seconds={
            "features": extracted - started,
            "heads": judged - extracted,
            "curve": ended - judged,
            "total": ended - started,
        },
    )


def validation_values(validation: Validation) -> dict[str, Any]:
    """What validation.json holds, as plain values; what is undefined has the value None."""
    crossed = validation.crossed
    return {
        "positive": validation.labels[0],
        "negative": validation.labels[1],
        "photos": crossed.n,
        "groups": len(np.unique(validation.placement.groups)),
        "head": crossed.kind,
        "unfrozen": validation.options.unfreeze,
        "folds": crossed.folds,
        "repeats": crossed.repeats,
        "metrics": _metrics_values(validation),
        "learning_curve": {
            "head": CURVE_HEAD,
            "points": [
                {"share": point.share, "photos": point.photos, "accuracy": estimate_values(point.accuracy)}
                for point in validation.curve
            ],
            "verdict": verdict(validation.curve),
        },
        "options": asdict(validation.options),
        "seconds": {stage: round(value, 3) for stage, value in validation.seconds.items()},
        "skipped": skipped_values(validation.placement.skipped),
    }


def write_validation(folder: str | os.PathLike[str], validation: Validation) -> None:
    """Write a folder with validation.json, out_of_fold.csv and learning_curve.csv.

    Raises:
        OutputError: it is already there, or cannot be written; no half of it stays.
    """
    files = {
        "validation.json": (to_json(validation_values(validation)) + "\n").encode(),
        "out_of_fold.csv": _out_of_fold(validation),
        "learning_curve.csv": _curve(validation.curve),
    }
    write_folder(folder, files)


@dataclass(frozen=True, eq=False)
class _FineTuning:
    """Judges folds, one after the other, by heads that were fine-tuned together with the last blocks of the base.

    Attributes:
        sample: the photos.
        placement: the same, with their files.
        extractor: of the frozen base's embeddings.
        options: of the training.
        folds: how many there are to judge, in all repeats.
        report: told about progress.
        checkpoints: one a fold judged; they save a killed validation its time, and are to be deleted after the last.
    """

    sample: Sample
    placement: Placement
    extractor: FeatureExtractor
    options: TrainingOptions
    folds: int
    report: Report
    checkpoints: list[Path] = field(default_factory=list)

    def judge(self, fold: Fold) -> tuple[float, Floats]:
        """The fold's threshold, and P(positive class) of its test photos."""
        options, targets = replace(self.options, seed=fold.seed), self.sample.targets
        head = fit_fold(self.sample, fold, options.head, options).fitted.head
        frozen = Frozen(head, self._placed(fold), targets, self.extractor)
        tuned = unfreeze(int(options.unfreeze), frozen, options, self._report_share)
        self.checkpoints.append(tuned.checkpoint)
        chosen = calibrate(tuned.fitted, (tuned.embeddings[fold.validation], targets[fold.validation]), options)
        return chosen.threshold, probabilities(chosen.head, tuned.embeddings[fold.test])

    def _placed(self, fold: Fold) -> Placement:
        parts = np.full(len(self.placement.photos), TEST, dtype=object)
        parts[fold.train], parts[fold.validation] = TRAIN, VALIDATION
        return replace(self.placement, parts=tuple(parts.tolist()))

    def _report_share(self, stage: str, done: int, total: int) -> None:
        """What is done of a stage in one fold, as a share of what there is in all folds."""
        self.report(stage, len(self.checkpoints) * total + done, self.folds * total)


def _check_unfreezing(options: TrainingOptions) -> None:
    if options.unfreeze == AUTO:
        raise OptionError(
            "unfreeze must be a number of blocks here, got 'auto', by which each fold might choose otherwise: "
            "name a number between 0 and 17"
        )
    if options.unfreeze:
        from roadclear.training.finetune import check_ready

        check_ready(options.device)


def _views(placement: Placement, extractor: FeatureExtractor, count: int, report: Report) -> list[Embeddings]:
    """Embeddings [n, 1280] of all photos' views 1 to `count`: every photo is trained on in its turn."""
    if count == 0:
        return []
    everything, views = range(len(placement.photos)), range(1, count + 1)
    hashes = extract_placed(placement, everything, extractor, views, partial(report, "Augmenting"))
    return [extractor.load(hashes, k) for k in views]


def _metrics_values(validation: Validation) -> dict[str, Any]:
    """Every metric with its interval, and its value in every fold."""
    crossed = validation.crossed
    return {
        name: estimate_values(mean)
        | {"by_fold": [estimate_values(fold.metrics[name])["value"] for fold in crossed.evaluations]}
        for name, mean in crossed.metrics.items()
    }


def _out_of_fold(validation: Validation) -> bytes:
    crossed, placement = validation.crossed, validation.placement
    positive, negative = validation.labels
    rows = [
        [photo.file, photo.label, group, probability, positive if called else negative, "yes" if right else "no"]
        for photo, group, probability, called, right in zip(
            placement.photos,
            placement.groups.tolist(),
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


def _path(name: str | None) -> Path | None:
    return Path(name) if name is not None else None
