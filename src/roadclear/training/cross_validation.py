"""Repeated grouped cross-validation of a recipe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from roadclear.data.folds import Fold, draw_folds, test_to_train
from roadclear.metrics.classification import Evaluation, evaluate
from roadclear.metrics.intervals import Estimate, estimate
from roadclear.model.decision.calibrated import CalibratedHead, calibrate
from roadclear.model.fit import train_linears
from roadclear.model.heads import Head, probabilities
from roadclear.training.config import TrainSettings
from roadclear.training.heads import fit_head
from roadclear.utils.arrays import Bools, Floats, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.rows import Rows
from roadclear.utils.threads import available_cores, one_thread, ordered_map

FOLDS, REPEATS = 5, 3

# Linear heads that are trained at once, at most: each adds four columns to a matrix product. There are two batches at
# least, for two cores, whatever the number of cores: heads of other batches differ by rounding.
_TOGETHER = 15

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
        start: head of an earlier model that heads start from, of the kind in the settings; None for new heads.
    """

    embeddings: Rows
    views: Sequence[Rows]
    targets: Targets
    groups: Indices
    start: Head | None = None


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
        progress: called with the stage, the number of finished folds and the total number.
        predict_fold: function that trains on a fold and predicts its test photos, called for one fold after the other.
            None trains heads on the sample's embeddings, several folds at once.

    Raises:
        OptionError: there are fewer than 2 folds or 1 repeat.
        DatasetError: a label has fewer groups than there are folds.
    """
    drawn = draw_folds(sample.targets, sample.groups, folds, repeats, settings.seed)
    return test_folds(sample, drawn, settings, progress, predict_fold)


def test_folds(
    sample: CrossValidationData,
    drawn: Sequence[Fold],
    settings: TrainSettings,
    progress: ProgressCallback = no_progress,
    predict_fold: PredictFold | None = None,
) -> CrossValidation:
    """Train and test on given folds.

    Args:
        sample: embeddings of labelled photos.
        drawn: folds from `roadclear.data.folds.draw_folds`.
        settings: settings of the training, with the kind of the head.
        progress: called with the stage, the number of finished folds and the total number.
        predict_fold: see `cross_validate`.
    """
    if predict_fold is None:
        predictions = [
            (calibrated.threshold, probabilities(calibrated.head, sample.embeddings[fold.test]))
            for fold, calibrated in zip(
                drawn, fit_folds(sample, drawn, settings, "Cross-validating", progress), strict=True
            )
        ]
    else:
        predictions = _run_in_turn(predict_fold, drawn, "Cross-validating", progress)
    positive = sample.targets == 1
    repeats = 1 + max(fold.repeat for fold in drawn)
    folds = len(drawn) // repeats
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
    trained = fit_head(views, sample.targets[fold.train], held_out, seeded, sample.start)
    return calibrate(trained, held_out, seeded)


def fit_folds(
    sample: CrossValidationData, folds: Sequence[Fold], settings: TrainSettings, stage: str, progress: ProgressCallback
) -> list[CalibratedHead]:
    """Train and calibrate a head for every fold, on all cores. Linear heads are trained several at once.

    Args:
        sample: embeddings of labelled photos.
        folds: splits of the photos, and the seeds of the heads.
        settings: settings of the training; a fold's seed takes the place of `settings.seed`.
        stage: name of the stage, for `progress`.
        progress: called with the stage, the number of finished heads and the number of all heads.
    """
    at_once = settings.head == "linear" and sample.start is None
    together = min(_TOGETHER, (len(folds) + 1) // 2) if at_once else 1
    batches = [folds[start : start + together] for start in range(0, len(folds), together)]
    fit = partial(_fit_linear_folds if at_once else _fit_each, sample, settings)
    results: list[CalibratedHead] = []
    cores = available_cores()
    # A last batch that would have one core to itself has two here: see `Pair`.
    in_pool = batches[:-1] if len(batches) % cores == 1 else batches
    with one_thread():
        # Linear algebra releases Python's lock, so threads suffice.
        for batch in chain(ordered_map(fit, in_pool, cores), map(fit, batches[len(in_pool) :])):
            for head in batch:
                results.append(head)
                progress(stage, len(results), len(folds))
    return results


def _fit_each(sample: CrossValidationData, settings: TrainSettings, folds: Sequence[Fold]) -> list[CalibratedHead]:
    return [fit_fold(sample, fold, settings) for fold in folds]


def _fit_linear_folds(
    sample: CrossValidationData, settings: TrainSettings, folds: Sequence[Fold]
) -> list[CalibratedHead]:
    splits = [(fold.train, fold.validation) for fold in folds]
    trained = train_linears([sample.embeddings, *sample.views], sample.targets, splits)
    return [
        calibrate(head, (sample.embeddings[fold.validation], sample.targets[fold.validation]), settings)
        for head, fold in zip(trained, folds, strict=True)
    ]


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
