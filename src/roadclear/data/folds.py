"""Folds by whole groups, for cross-validation.

Folds come from scikit-learn's `StratifiedGroupKFold`. It keeps groups whole and balances labels across k equal folds,
so every photo is tested once. `roadclear.data.split` makes three unequal splits, and most photos are never tested.

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


def draw_folds(targets: Targets, groups: Indices, folds: int, repeats: int, seed: int) -> list[Fold]:
    """Draw `folds` folds `repeats` times, by whole groups, with both labels in every split.

    A photo's fold depends on the number of its group, not on its position among the photos.

    Args:
        targets: int [n], 1 for the positive class, else 0.
        groups: int [n], number of each photo's group.
        folds: number of folds, at least 2.
        repeats: number of repeats, at least 1.
        seed: random seed of the folds and of their heads.

    Raises:
        OptionError: there are fewer than 2 folds or 1 repeat.
        DatasetError: a label has fewer groups than there are folds.

    Returns:
        [repeats * folds] folds, repeat by repeat.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    check_counts(folds, repeats)
    if min(len(np.unique(groups[targets == label])) for label in (0, 1)) < folds:
        raise _too_few(folds)
    result: list[Fold] = []
    for repeat in range(repeats):
        dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=_seed(seed, repeat))
        dealt = dealer.split(targets, targets, groups)
        for number, (rest, test) in enumerate(dealt):
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
