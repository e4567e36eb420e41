"""Folds by whole groups, for cross-validation.

Groups are dealt to k equal folds, so every photo is tested once. `roadclear.data.split` makes three unequal splits, and
most photos are never tested.

Outside its test photos, each fold keeps 15% of the photos for validation, by whole groups, as `train` does. Validation
photos decide early stopping, calibration and the threshold.

Training photos of different folds overlap, so the plain t interval of a mean over folds is far too narrow.
`roadclear.metrics.intervals.corrected_interval` corrects the interval by `test_to_train`.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.data.split import SHARES, TRAIN, VALIDATION, assign_splits
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.arrays import Indices, Targets

_TRAINING_SHARES = {TRAIN: 1 - SHARES[VALIDATION], VALIDATION: SHARES[VALIDATION]}


@dataclass(frozen=True, eq=False)
class Fold:
    """Three splits of the photos that share no group.

    Attributes:
        repeat: number of the repeat, from 0.
        seed: random seed of the fold's head.
        train: indices of the training photos.
        validation: indices of the photos for early stopping, calibration and the threshold.
        test: indices of the test photos.
    """

    repeat: int
    seed: int
    train: Indices
    validation: Indices
    test: Indices


def draw_folds(
    targets: Targets, groups: Indices, folds: int, repeats: int, seed: int, kept: Indices | None = None
) -> list[Fold]:
    """Draw `folds` folds `repeats` times, by whole groups, with both labels in every split.

    A photo's fold depends on the number of its group, not on its position among the photos.

    Args:
        targets: int [n], 1 for the positive class, else 0.
        groups: int [n], number of each photo's group.
        folds: number of folds, at least 2.
        repeats: number of repeats, at least 1.
        seed: random seed of the folds and of their heads.
        kept: int [n], number of the fold that tests a photo, -1 for a photo without one. Groups of such photos keep
            their folds. None keeps nothing.

    Raises:
        OptionError: there are fewer than 2 folds or 1 repeat.
        DatasetError: a label has fewer groups than there are folds.

    Returns:
        [repeats * folds] folds, repeat by repeat.
    """
    check_counts(folds, repeats)
    if min(len(np.unique(groups[targets == label])) for label in (0, 1)) < folds:
        raise _too_few(folds)
    result: list[Fold] = []
    for repeat in range(repeats):
        dealt = _deal(targets, groups, folds, _seed(seed, repeat), kept)
        for number in range(folds):
            rest, test = np.flatnonzero(dealt != number), np.flatnonzero(dealt == number)
            if len(np.unique(targets[test])) < 2:
                raise _too_few(folds)
            try:
                result.append(_fold(targets, groups, repeat, _seed(seed, repeat, number), rest, test))
            except DatasetError as error:  # its message names targets (0 and 1) instead of labels
                raise _too_few(folds) from error
    return result


def check_counts(folds: int, repeats: int) -> None:
    """Refuse fewer than 2 folds or 1 repeat.

    Raises:
        OptionError: there are fewer than 2 folds or 1 repeat.
    """
    if folds < 2 or repeats < 1:
        raise OptionError(f"expected at least 2 folds and 1 repeat, got {folds} and {repeats}")


def test_to_train(folds: int) -> float:
    """Number of photos in one of k folds, divided by the number outside the fold."""
    return 1 / (folds - 1)


def _deal(targets: Targets, groups: Indices, folds: int, seed: int, kept: Indices | None = None) -> Indices:
    """Deal groups to folds, so that every fold comes near its share of both labels: int [n], fold of every photo.

    The largest groups are dealt first, groups of one size in a random order. Each goes to the fold where the sum of
    squares of the folds' shares of the labels rises least.
    """
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max() + 1, 2))
    np.add.at(counts, (group, targets), 1)
    shares = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled, fold = np.zeros((folds, 2)), np.full(len(counts), -1)
    if kept is not None:
        np.maximum.at(fold, group, kept)
        np.add.at(filled, fold[fold >= 0], shares[fold >= 0])
    for number in order[fold[order] < 0].tolist():
        fold[number] = (filled @ shares[number]).argmin()
        filled[fold[number]] += shares[number]
    return np.asarray(fold[group])


def _fold(targets: Targets, groups: Indices, repeat: int, seed: int, rest: Indices, test: Indices) -> Fold:
    labels = targets[rest].astype(str).tolist()
    splits = np.array(assign_splits(labels, groups[rest], seed, shares=_TRAINING_SHARES))
    return Fold(repeat, seed, rest[splits == TRAIN], rest[splits == VALIDATION], test)


def _too_few(folds: int) -> DatasetError:
    return DatasetError(
        f"expected photos of each label from more scenes than the {folds} folds, found too few: "
        "take fewer folds, or add photos from more places"
    )


def _seed(*numbers: int) -> int:
    """Mix several numbers into a seed below 2**32. Sums would coincide for neighbouring seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
