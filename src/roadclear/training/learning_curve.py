"""Learning curve: accuracy over the number of photos, and whether more photos would help."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadclear.data.folds import Fold, draw_folds, test_to_train
from roadclear.errors import OptionError
from roadclear.metrics.intervals import Estimate, corrected_interval, estimate
from roadclear.model.decision.calibrated import CalibratedHead
from roadclear.model.heads import probabilities
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import (
    FOLDS,
    REPEATS,
    CrossValidation,
    CrossValidationData,
    fit_folds,
    independent_share,
)
from roadclear.utils.arrays import Floats, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress

CURVE_SHARES = tuple(tenth / 10 for tenth in range(1, 11))

# A gain of accuracy that is not worth twice the photos.
_HARDLY_A_GAIN = 0.01


@dataclass(frozen=True)
class LearningPoint:
    """Accuracy of heads trained on a share of the photos.

    Attributes:
        folds: number of folds.
        share: share of the photos outside the test fold, above 0 and at most 1.
        photos: mean number of photos in the share over the folds, training and validation together.
        accuracy: mean accuracy over folds and repeats, with the interval of the corrected resampled t.
        accuracies: accuracies by fold and repeat, in the same order at every point.
    """

    folds: int
    share: float
    photos: int
    accuracy: Estimate
    accuracies: tuple[float, ...]


def learning_curve(
    sample: CrossValidationData,
    settings: TrainSettings,
    shares: Sequence[float] = CURVE_SHARES,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    progress: ProgressCallback = no_progress,
) -> tuple[LearningPoint, ...]:
    """Measure accuracy over the number of photos, always on the same test folds.

    A head gets a share of the photos outside its test fold, by whole groups, for training and validation alike. A
    larger share contains all photos of a smaller share.

    Args:
        sample: embeddings of labelled photos.
        settings: settings of the training, with the kind of the head and the seed of the folds.
        shares: shares of the photos outside the test fold, rising, above 0 and at most 1.
        folds: number of folds, at least 2.
        repeats: number of repeats, at least 1.
        progress: called with the stage, the number of trained heads and the total number.

    Raises:
        OptionError: the shares are out of range, or there are fewer than 2 folds or 1 repeat.
        DatasetError: a label has fewer groups than there are folds.
    """
    rising = all(a < b for a, b in zip([0.0, *shares], shares, strict=False))
    if not shares or not rising or shares[-1] > 1:
        raise OptionError(f"shares must rise, above 0 and up to at most 1, got {list(shares)}")
    drawn = draw_folds(sample.targets, sample.groups, folds, repeats, settings.seed)
    entries = [_entry_shares(sample, fold) for fold in drawn]
    parts = [
        replace(
            fold,
            train=fold.train[entry[fold.train] <= share],
            validation=fold.validation[entry[fold.validation] <= share],
        )
        for share in shares
        for fold, entry in zip(drawn, entries, strict=True)
    ]
    tested = [
        (len(part.train) + len(part.validation), _accuracy(sample, part, calibrated))
        for part, calibrated in zip(parts, fit_folds(sample, parts, settings, "Learning curve", progress), strict=True)
    ]
    rows = [tested[start : start + len(drawn)] for start in range(0, len(tested), len(drawn))]
    return tuple(_point(folds, share, row, sample.groups) for share, row in zip(shares, rows, strict=True))


def full_point(crossed: CrossValidation, groups: Indices) -> LearningPoint:
    """Make the point of all photos from a cross-validation with the same settings and folds.

    Args:
        crossed: cross-validation of the sample of the curve.
        groups: int [n], number of the group of each photo.
    """
    tested = [evaluation.metrics["accuracy"] for evaluation in crossed.evaluations]
    return _point(crossed.folds, 1.0, [(crossed.n - one.n, one.value) for one in tested], groups)


def describe_learning_curve(points: Sequence[LearningPoint]) -> str:
    """Describe whether more photos would help, in a sentence.

    The sentence compares the accuracy with all photos and with half of the photos, fold by fold, with the interval of
    the corrected resampled t.

    Args:
        points: points of a learning curve, by rising share.
    """
    last = points[-1]
    half = min(points[:-1], key=lambda point: abs(point.share - last.share / 2), default=None)
    if half is None:
        return "One point of the learning curve does not show whether more photos would help."
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
    return f"{change}: the interval is too wide to say whether more photos would help."


def _accuracy(sample: CrossValidationData, fold: Fold, calibrated: CalibratedHead) -> float:
    predicted = probabilities(calibrated.head, sample.embeddings[fold.test]) >= calibrated.threshold
    return float(np.mean(predicted == sample.targets[fold.test]))


def _point(folds: int, share: float, tested: Sequence[tuple[int, float]], groups: Indices) -> LearningPoint:
    """Make a point. All points use the ratio of the folds, because heads of a small share are no more alike."""
    photos, accuracies = zip(*tested, strict=True)
    n = len(groups)
    accuracy = estimate(np.array(accuracies), test_to_train(folds), n, effective_n=n * independent_share(groups))
    return LearningPoint(folds, share, round(float(np.mean(photos))), accuracy, accuracies)


def _entry_shares(sample: CrossValidationData, fold: Fold) -> Floats:
    """Draw the least share that contains each photo: float64 [n], nan for test photos."""
    entry = np.full(len(sample.targets), np.nan)
    for split in (fold.train, fold.validation):
        entry[split] = _queue(sample.targets[split], sample.groups[split], fold.seed)
    return entry


def _queue(targets: Targets, groups: Indices, seed: int) -> Floats:
    """Order groups at random, label by label, and compute the share of photos at which each group enters.

    The first group of either label enters at 0, so that no share lacks a label.
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
