"""How good is the recipe on these photos, and would more of them help? Repeated grouped cross-validation."""

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

Judge = Callable[[Fold], tuple[float, Floats]]
"""Given a fold: the threshold that it gives, and P(positive class) of its test photos, float64 [m]."""


@dataclass(frozen=True, eq=False)
class CrossValidationData:
    """Labelled photos as embeddings.

    Attributes:
        embeddings: of the plain photos, float32 [n, 1280].
        views: of their augmented views, float32 [n, 1280] each; used only where a photo is trained on.
        targets: [n], 1 for the positive class, else 0.
        groups: int [n]; photos of one group are never on two sides.
    """

    embeddings: Embeddings
    views: Sequence[Embeddings]
    targets: Targets
    groups: Indices


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What cross-validation gives. No photo was judged by a head that had seen it or one of its group.

    Attributes:
        kind: "dense" or "linear".
        folds: in how many the photos were parted.
        repeats: how often.
        n: number of photos.
        by_repeat: float64 [repeats, n], P(positive class) of every photo, out of fold.
        probability: float64 [n], their mean over the repeats. The mean of calibrated probabilities is what to expect
            of a head trained on such a part of the photos.
        threshold: float64 [n], the mean threshold of the folds that judged the photo.
        predicted: bool [n], whether the photo is called positive: its probability reaches its threshold.
        correct: bool [n], whether that is right.
        evaluations: [repeats * folds], of every fold at its own threshold, repeat by repeat.
        metrics: name -> mean over these, with the interval of the corrected resampled t; see `estimate`.
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
    options: TrainSettings,
    kind: str = "dense",
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
    judge: Judge | None = None,
) -> CrossValidation:
    """Train and test on all photos in turn.

    The result does not depend on the number of cores. The order of the photos changes neither folds nor, but for
    rounding, linear heads; dense heads are trained in another order.

    Args:
        sample: the photos.
        options: of the training; its seed is that of the folds, too.
        kind: "dense" or "linear".
        folds: in how many to part the photos, at least 2.
        repeats: how often, each time otherwise, at least 1.
        progress: called with the stage, what is done, and what there is.
        judge: of every fold; None for a head on the sample's embeddings, several folds at once. Another judge gets one
            fold after the other, and may use all cores.

    Raises:
        OptionError: too few folds or repeats.
        DatasetError: too few groups of a label for so many folds.
    """

    def judge_head(fold: Fold) -> tuple[float, Floats]:
        chosen = fit_fold(sample, fold, kind, options)
        return chosen.threshold, probabilities(chosen.head, sample.embeddings[fold.test])

    parted = draw_folds(sample.targets, sample.groups, folds, repeats, options.seed)
    if judge is None:
        judged = _each(judge_head, parted, "Cross-validating", progress)
    else:
        judged = _one_by_one(judge, parted, "Cross-validating", progress)
    positive = sample.targets == 1
    by_repeat, thresholds = np.full((2, repeats, len(positive)), np.nan)
    for fold, (threshold, probability) in zip(parted, judged, strict=True):
        by_repeat[fold.repeat, fold.test] = probability
        thresholds[fold.repeat, fold.test] = threshold
    probability, threshold_of_each = by_repeat.mean(axis=0), thresholds.mean(axis=0)
    predicted = probability >= threshold_of_each
    evaluations = tuple(
        evaluate(positive[fold.test], judged_as, threshold)
        for fold, (threshold, judged_as) in zip(parted, judged, strict=True)
    )
    return CrossValidation(
        kind=kind,
        folds=folds,
        repeats=repeats,
        n=len(positive),
        by_repeat=by_repeat,
        probability=probability,
        threshold=threshold_of_each,
        predicted=predicted,
        correct=predicted == positive,
        evaluations=evaluations,
        metrics=_mean_metrics(evaluations, folds, repeats),
    )


def fit_fold(sample: CrossValidationData, fold: Fold, kind: str, options: TrainSettings) -> CalibratedHead:
    """Train a head on a fold's training photos, and calibrate it on its validation photos.

    Args:
        sample: the photos.
        fold: their parts; its seed is that of the head.
        kind: "dense" or "linear".
        options: of the training.
    """
    views = [view[fold.train] for view in (sample.embeddings, *sample.views)]
    held_out = sample.embeddings[fold.validation], sample.targets[fold.validation]
    seeded = replace(options, seed=fold.seed)
    return calibrate(train_head(kind, views, sample.targets[fold.train], held_out, seeded), held_out, seeded)


def _each(
    judge: Callable[[Item], Result], items: Sequence[Item], stage: str, progress: ProgressCallback
) -> list[Result]:
    """Judge all items, one fit a core: fits share nothing, and linear algebra lets other threads run."""
    results: list[Result] = []
    with one_thread(), warnings.catch_warnings():
        # Filters are the process's: set here, before the threads set and reset them at the same time.
        warnings.simplefilter("ignore")
        for result in ordered_map(judge, items, available_cores()):
            results.append(result)
            progress(stage, len(results), len(items))
    return results


def _one_by_one(
    judge: Judge, folds: Sequence[Fold], stage: str, progress: ProgressCallback
) -> list[tuple[float, Floats]]:
    results = []
    for number, fold in enumerate(folds):
        progress(stage, number, len(folds))
        results.append(judge(fold))
    progress(stage, len(folds), len(folds))
    return results


def _mean_metrics(evaluations: Sequence[Evaluation], folds: int, repeats: int) -> dict[str, Estimate]:
    metrics: dict[str, Estimate] = {}
    for name in evaluations[0].metrics:
        estimates = [evaluation.metrics[name] for evaluation in evaluations]
        n = round(sum(one.n for one in estimates) / repeats)
        largest = np.inf if name == "log_loss" else 1.0
        metrics[name] = estimate(np.array([one.value for one in estimates]), test_to_train(folds), n, largest)
    return metrics
