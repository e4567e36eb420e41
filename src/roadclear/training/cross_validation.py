"""Repeated grouped cross-validation of a recipe."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from roadclear.data.folds import Fold, draw_folds, test_to_train
from roadclear.metrics.classification import Evaluation, evaluate
from roadclear.metrics.intervals import Estimate, estimate
from roadclear.model.decision.calibrated import CalibratedHead, calibrate
from roadclear.model.fit import train_head
from roadclear.model.heads import probabilities
from roadclear.training.config import TrainSettings
from roadclear.utils.arrays import Bools, Embeddings, Floats, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import available_cores, one_thread, ordered_map

FOLDS, REPEATS = 5, 3

Item = TypeVar("Item")
Result = TypeVar("Result")

PredictFold = Callable[[Fold], tuple[float, Floats]]
"""Function that trains on a fold, and returns the threshold and P(positive class) of the test photos, float64 [m]."""


@dataclass(frozen=True, eq=False)
class CrossValidationData:
    """Embeddings of labelled photos.

    Attributes:
        embeddings: embeddings of the plain photos, float32 [n, 1280].
        views: embeddings of augmented views, float32 [n, 1280] each; used for training photos only.
        targets: int64 [n], 1 for the positive class, else 0.
        groups: int [n], group numbers. A group is never divided between splits.
    """

    embeddings: Embeddings
    views: Sequence[Embeddings]
    targets: Targets
    groups: Indices


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Result of a cross-validation. Predictions are out of fold: no head saw the photo or a photo of its group.

    Attributes:
        kind: kind of the head, "dense" or "linear".
        folds: number of folds.
        repeats: number of repeats.
        n: number of photos.
        by_repeat: float64 [repeats, n], P(positive class) of every photo.
        probability: float64 [n], mean P(positive class) over the repeats. A head trained on as many photos is expected
            to give this probability.
        threshold: float64 [n], mean threshold of the folds that tested the photo.
        predicted: bool [n], whether the prediction is positive: the probability reaches the threshold.
        correct: bool [n], whether the prediction is correct.
        evaluations: [repeats * folds] metrics of every fold at its own threshold, repeat by repeat.
        metrics: mean of every metric over the folds, with the interval of the corrected resampled t; see
            `roadclear.metrics.intervals.estimate`.
    """

    kind: str
    folds: int
    repeats: int
    n: int
    by_repeat: Floats
    probability: Floats
    threshold: Floats
    predicted: Bools
    correct: Bools
    evaluations: tuple[Evaluation, ...]
    metrics: Mapping[str, Estimate]


def cross_validate(
    sample: CrossValidationData,
    settings: TrainSettings,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
    predict_fold: PredictFold | None = None,
) -> CrossValidation:
    """Train and test on all photos in turn.

    The result does not depend on the number of cores. The order of the photos does not change folds, and changes linear
    heads by rounding only. Dense heads depend on the order of their training photos.

    Args:
        sample: embeddings of labelled photos.
        settings: settings of the training, with the kind of the head and the seed of the folds.
        folds: number of folds, at least 2.
        repeats: number of repeats, each with other folds, at least 1.
        progress: called after every fold with the stage, the number of finished folds and the total number.
        predict_fold: function that trains on a fold and predicts its test photos, called for one fold after the other.
            None trains heads on the sample's embeddings, several folds at once.

    Raises:
        OptionError: there are fewer than 2 folds or 1 repeat.
        DatasetError: a label has fewer groups than there are folds.
    """

    def predict_by_head(fold: Fold) -> tuple[float, Floats]:
        calibrated = fit_fold(sample, fold, settings)
        return calibrated.threshold, probabilities(calibrated.head, sample.embeddings[fold.test])

    drawn = draw_folds(sample.targets, sample.groups, folds, repeats, settings.seed)
    if predict_fold is None:
        predictions = run_each(predict_by_head, drawn, "Cross-validating", progress)
    else:
        predictions = _run_in_turn(predict_fold, drawn, "Cross-validating", progress)
    positive = sample.targets == 1
    by_repeat, thresholds = np.full((2, repeats, len(positive)), np.nan)
    evaluations: list[Evaluation] = []
    for fold, (threshold, tested) in zip(drawn, predictions, strict=True):
        by_repeat[fold.repeat, fold.test] = tested
        thresholds[fold.repeat, fold.test] = threshold
        evaluations.append(evaluate(positive[fold.test], tested, threshold, sample.groups[fold.test]))
    probability, mean_threshold = by_repeat.mean(axis=0), thresholds.mean(axis=0)
    predicted = probability >= mean_threshold
    return CrossValidation(
        kind=settings.head,
        folds=folds,
        repeats=repeats,
        n=len(positive),
        by_repeat=by_repeat,
        probability=probability,
        threshold=mean_threshold,
        predicted=predicted,
        correct=predicted == positive,
        evaluations=tuple(evaluations),
        metrics=_mean_metrics(evaluations, folds, repeats, independent_share(sample.groups)),
    )


def fit_fold(sample: CrossValidationData, fold: Fold, settings: TrainSettings) -> CalibratedHead:
    """Train a head on a fold's training photos, and calibrate the head on the fold's validation photos.

    Args:
        sample: embeddings of labelled photos.
        fold: splits of the photos, and the seed of the head.
        settings: settings of the training; the fold's seed takes the place of `settings.seed`.
    """
    views = [view[fold.train] for view in (sample.embeddings, *sample.views)]
    held_out = sample.embeddings[fold.validation], sample.targets[fold.validation]
    seeded = replace(settings, seed=fold.seed)
    trained = train_head(settings.head, views, sample.targets[fold.train], held_out, seeded)
    return calibrate(trained, held_out, seeded)


def run_each(
    task: Callable[[Item], Result], items: Sequence[Item], stage: str, progress: ProgressCallback
) -> list[Result]:
    """Run a task for every item, one item per core. Linear algebra releases Python's lock, so threads suffice.

    Args:
        task: function of an item, called from several threads.
        items: items of the task.
        stage: name of the stage, for `progress`.
        progress: called after every item with the stage, the number of finished items and the total number.

    Returns:
        Results in the order of the items.
    """
    results: list[Result] = []
    with one_thread(), warnings.catch_warnings():
        # Warning filters belong to the process. Set once here, before threads set and reset them at the same time.
        warnings.simplefilter("ignore")
        for result in ordered_map(task, items, available_cores()):
            results.append(result)
            progress(stage, len(results), len(items))
    return results


def _run_in_turn(
    predict_fold: PredictFold, folds: Sequence[Fold], stage: str, progress: ProgressCallback
) -> list[tuple[float, Floats]]:
    results = []
    for number, fold in enumerate(folds):
        progress(stage, number, len(folds))
        results.append(predict_fold(fold))
    progress(stage, len(folds), len(folds))
    return results


def independent_share(groups: Indices) -> float:
    """Compute the effective share of photos, in (0, 1], if photos always agree within a group (Kish 1965)."""
    sizes = np.unique(groups, return_counts=True)[1]
    return len(groups) / float(np.sum(sizes**2))


def _mean_metrics(
    evaluations: Sequence[Evaluation], folds: int, repeats: int, independent: float
) -> dict[str, Estimate]:
    metrics: dict[str, Estimate] = {}
    for name in evaluations[0].metrics:
        estimates = [evaluation.metrics[name] for evaluation in evaluations]
        n = round(sum(one.n for one in estimates) / repeats)
        largest = np.inf if name == "log_loss" else 1.0
        values = np.array([one.value for one in estimates])
        metrics[name] = estimate(values, test_to_train(folds), n, largest, n * independent)
    return metrics
