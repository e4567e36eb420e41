"""Accuracy over the number of photos: whether more photos would help."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadclear.data.folds import Fold, draw_folds, test_to_train
from roadclear.errors import OptionError
from roadclear.metrics.intervals import Estimate, corrected_interval, estimate
from roadclear.model.heads import probabilities
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import FOLDS, REPEATS, CrossValidationData, _each, fit_fold
from roadclear.utils.arrays import Floats, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress

CURVE_SHARES = tuple(tenth / 10 for tenth in range(1, 11))


# A gain of accuracy that is not worth twice the photos.
_HARDLY_A_GAIN = 0.01


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


def learning_curve(
    sample: CrossValidationData,
    options: TrainSettings,
    kind: str = "linear",
    shares: Sequence[float] = CURVE_SHARES,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
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
        progress: called with the stage, what is done, and what there is.

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

    judged = _each(judge, tasks, "Learning curve", progress)
    rows = [judged[start : start + len(parted)] for start in range(0, len(judged), len(parted))]
    return tuple(_point(folds, share, row, len(sample.targets)) for share, row in zip(shares, rows, strict=True))


def describe_learning_curve(points: Sequence[LearningPoint]) -> str:
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


def _point(folds: int, share: float, judged: Sequence[tuple[int, float]], n: int) -> LearningPoint:
    """One point. The ratio of the interval stays that of the folds: a small share makes heads no more alike."""
    photos, accuracies = zip(*judged, strict=True)
    accuracy = estimate(np.array(accuracies), test_to_train(folds), n)
    return LearningPoint(folds, share, round(float(np.mean(photos))), accuracy, accuracies)


def _entry_shares(sample: CrossValidationData, fold: Fold) -> Floats:
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
