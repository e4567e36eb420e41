"""How good is the recipe on these photos, and would more of them help? Repeated grouped cross-validation."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from roadclear.data.folds import Floats, Fold, Indices, corrected_interval, draw_folds, estimate, test_to_train
from roadclear.errors import OptionError
from roadclear.metrics.classification import Bools, Estimate, Evaluation, evaluate
from roadclear.model.fit import Fit, fit
from roadclear.model.heads import Embeddings, Targets, one_thread, probabilities
from roadclear.training.config import TrainingOptions
from roadclear.training.prepare import Report
from roadclear.utils.threads import available_cores, ordered_map

FOLDS, REPEATS = 5, 3
CURVE_SHARES = tuple(tenth / 10 for tenth in range(1, 11))

# A gain of accuracy that is not worth twice the photos.
_HARDLY_A_GAIN = 0.01

Item = TypeVar("Item")
Result = TypeVar("Result")

Judge = Callable[[Fold], tuple[float, Floats]]
"""Given a fold: the threshold that it gives, and P(positive class) of its test photos, float64 [m]."""


@dataclass(frozen=True, eq=False)
class Sample:
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


@dataclass(frozen=True)
class LearningPoint:
    """Accuracy of heads that had a share of the photos.

    Attributes:
        folds: in how many the photos were parted.
        share: of the photos outside the test fold, above 0 to 1.
        photos: how many these were, training and validation together; the mean over the folds.
        accuracy: mean over folds and repeats, with the interval of the corrected resampled t.
        accuracies: of every fold and repeat, in an order that is the same at every point.
    """

    folds: int
    share: float
    photos: int
    accuracy: Estimate
    accuracies: tuple[float, ...]


def cross_validate(
    sample: Sample,
    options: TrainingOptions,
    kind: str = "dense",
    folds: int = FOLDS,
    repeats: int = REPEATS,
    report: Report = lambda stage, done, total: None,
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
        report: told about progress.
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
        judged = _each(judge_head, parted, "Cross-validating", report)
    else:
        judged = _one_by_one(judge, parted, "Cross-validating", report)
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


def fit_fold(sample: Sample, fold: Fold, kind: str, options: TrainingOptions) -> Fit:
    """Train a head on a fold's training photos, and calibrate it on its validation photos.

    Args:
        sample: the photos.
        fold: their parts; its seed is that of the head.
        kind: "dense" or "linear".
        options: of the training.
    """
    views = [view[fold.train] for view in (sample.embeddings, *sample.views)]
    held_out = sample.embeddings[fold.validation], sample.targets[fold.validation]
    return fit(kind, views, sample.targets[fold.train], held_out, replace(options, seed=fold.seed))


def learning_curve(
    sample: Sample,
    options: TrainingOptions,
    kind: str = "linear",
    shares: Sequence[float] = CURVE_SHARES,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    report: Report = lambda stage, done, total: None,
) -> tuple[LearningPoint, ...]:
    """Accuracy over the number of photos, always on the same test folds.

    A head gets a share of the photos outside its test fold, for training and validation alike, by whole groups. The
    photos of a smaller share are among those of a larger one.

    Args:
        sample: the photos.
        options: of the training; its seed is that of the folds, too.
        kind: "dense" or "linear".
        shares: of the photos outside the test fold, rising, above 0 and at most 1.
        folds: in how many to part the photos, at least 2.
        repeats: how often, at least 1.
        report: told about progress.

    Raises:
        OptionError: shares out of their range, or too few folds or repeats.
        DatasetError: too few groups of a label for so many folds.
    """
    rising = all(a < b for a, b in zip([0.0, *shares], shares, strict=False))
    if not shares or not rising or shares[-1] > 1:
        raise OptionError(f"shares must rise, above 0 and up to at most 1, got {list(shares)}")
    parted = draw_folds(sample.targets, sample.groups, folds, repeats, options.seed)
    entries = [_entry_shares(sample, fold) for fold in parted]
    tasks = [(share, fold, entry) for share in shares for fold, entry in zip(parted, entries, strict=True)]

    def judge(task: tuple[float, Fold, Floats]) -> tuple[int, float]:
        share, fold, entry = task
        train, validation = (part[entry[part] <= share] for part in (fold.train, fold.validation))
        chosen = fit_fold(sample, replace(fold, train=train, validation=validation), kind, options)
        called = probabilities(chosen.head, sample.embeddings[fold.test]) >= chosen.threshold
        return len(train) + len(validation), float(np.mean(called == sample.targets[fold.test]))

    judged = _each(judge, tasks, "Learning curve", report)
    rows = [judged[start : start + len(parted)] for start in range(0, len(judged), len(parted))]
    return tuple(_point(folds, share, row, len(sample.targets)) for share, row in zip(shares, rows, strict=True))


def verdict(points: Sequence[LearningPoint]) -> str:
    """Would more photos help? In words, from the difference between all photos and half of them.

    The difference is taken fold by fold, with the interval of the corrected resampled t.

    Args:
        points: of a learning curve, by rising share.
    """
    last = points[-1]
    half = min(points[:-1], key=lambda point: abs(point.share - last.share / 2), default=None)
    if half is None:
        return "Whether more photos would help cannot be told from one point of the curve."
    gains = np.subtract(last.accuracies, half.accuracies)
    low, high = corrected_interval(gains, test_to_train(last.folds))
    change = (
        f"From {half.photos:,} to {last.photos:,} photos accuracy changed by {100 * gains.mean():+.1f} points "
        f"(95% interval {100 * low:+.1f} to {100 * high:+.1f})"
    )
    if low > 0:
        return f"{change}: more photos would probably help."
    if high < _HARDLY_A_GAIN:
        return f"{change}: more photos of the same kind would hardly help."
    return f"{change}: whether more photos would help cannot be told."


def _each(judge: Callable[[Item], Result], items: Sequence[Item], stage: str, report: Report) -> list[Result]:
    """Judge all items, one fit a core: fits share nothing, and linear algebra lets other threads run."""
    results: list[Result] = []
    with one_thread(), warnings.catch_warnings():
        # Filters are the process's: set here, before the threads set and reset them at the same time.
        warnings.simplefilter("ignore")
        for result in ordered_map(judge, items, available_cores()):
            results.append(result)
            report(stage, len(results), len(items))
    return results


def _one_by_one(judge: Judge, folds: Sequence[Fold], stage: str, report: Report) -> list[tuple[float, Floats]]:
    results = []
    for number, fold in enumerate(folds):
        report(stage, number, len(folds))
        results.append(judge(fold))
    report(stage, len(folds), len(folds))
    return results


def _mean_metrics(evaluations: Sequence[Evaluation], folds: int, repeats: int) -> dict[str, Estimate]:
    metrics: dict[str, Estimate] = {}
    for name in evaluations[0].metrics:
        estimates = [evaluation.metrics[name] for evaluation in evaluations]
        n = round(sum(one.n for one in estimates) / repeats)
        largest = np.inf if name == "log_loss" else 1.0
        metrics[name] = estimate(np.array([one.value for one in estimates]), test_to_train(folds), n, largest)
    return metrics


def _point(folds: int, share: float, judged: Sequence[tuple[int, float]], n: int) -> LearningPoint:
    """One point. The ratio of the interval stays that of the folds: a small share makes heads no more alike."""
    photos, accuracies = zip(*judged, strict=True)
    accuracy = estimate(np.array(accuracies), test_to_train(folds), n)
    return LearningPoint(folds, share, round(float(np.mean(photos))), accuracy, accuracies)


def _entry_shares(sample: Sample, fold: Fold) -> Floats:
    """From which share on a photo is among the chosen: float64 [n], nan for test photos."""
    entry = np.full(len(sample.targets), np.nan)
    for part in (fold.train, fold.validation):
        entry[part] = _queue(sample.targets[part], sample.groups[part], fold.seed)
    return entry


def _queue(targets: Targets, groups: Indices, seed: int) -> Floats:
    """Line groups up at random, label by label, and say at which share of the photos each comes in.

    The first group of either label comes in at 0, so that no share lacks a label.
    """
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max() + 1, 2), dtype=np.int64)
    np.add.at(counts, (group, targets), 1)
    main_label = counts.argmax(axis=1)
    draw = np.random.default_rng(seed)
    entry = np.zeros(len(counts))
    for label in (0, 1):
        order = draw.permutation(np.flatnonzero(main_label == label))
        sizes = counts[order].sum(axis=1)
        entry[order] = (np.cumsum(sizes) - sizes / 2) / max(sizes.sum(), 1)
    for label in (0, 1):
        holding = np.flatnonzero(counts[:, label])
        entry[holding[entry[holding].argmin()]] = 0.0
    return np.asarray(entry[group])
