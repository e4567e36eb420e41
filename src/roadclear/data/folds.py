"""Folds by whole groups, and what a mean over them is worth.

Folds come from scikit-learn's `StratifiedGroupKFold`: it deals whole groups to k equal folds and evens out labels and
large groups among them, where `roadclear.data.split` cuts unequal parts and leaves no group its turn in the test.
Inside the training side of a fold, `roadclear.data.split` puts 15% aside, by whole groups, for early stopping,
calibration and the threshold, as a training does.

The folds of one sample overlap in what they train on, so that the plain t interval of their mean is far too narrow.
The intervals here are those of the corrected resampled t-test (Nadeau and Bengio 2003, "Inference for the
Generalization Error", section 3): the variance of J values is multiplied by 1/J + n_test/n_train instead of 1/J.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.data.split import SHARES, TRAIN, VALIDATION, split
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.arrays import Indices, Targets

_TRAINING_SHARES = {TRAIN: 1 - SHARES[VALIDATION], VALIDATION: SHARES[VALIDATION]}


@dataclass(frozen=True, eq=False)
class Fold:
    """One way to part the photos; the three parts are indices of photos, and share no group.

    Attributes:
        repeat: number of the repeat, from 0.
        seed: of the head that is trained here.
        train: what the head is trained on.
        validation: what it is stopped, calibrated and given its threshold by.
        test: what it is judged on.
    """

    repeat: int
    seed: int
    train: Indices
    validation: Indices
    test: Indices


def draw_folds(targets: Targets, groups: Indices, folds: int, repeats: int, seed: int) -> list[Fold]:
    """Part the photos `repeats` times in `folds` folds, by whole groups, with both labels in every part.

    A photo's fold depends on its group's number, not on its place among the photos.

    Args:
        targets: [n], 1 for the positive class, else 0.
        groups: int [n]; photos of one group go to one side.
        folds: at least 2.
        repeats: at least 1.
        seed: of the draw.

    Raises:
        OptionError: too few folds or repeats.
        DatasetError: too few groups of a label for so many folds.
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
            except DatasetError as error:  # the split names labels, of which it was told numbers
                raise _too_few(folds) from error
    return result


def check_counts(folds: int, repeats: int) -> None:
    """Refuse, before any work is done for them, fewer than 2 folds or 1 repeat.

    Raises:
        OptionError: there are fewer.
    """
    if folds < 2 or repeats < 1:
        raise OptionError(f"expected at least 2 folds and 1 repeat, got {folds} and {repeats}")


def test_to_train(folds: int) -> float:
    """Photos in one of k folds to photos outside it."""
    return 1 / (folds - 1)


def _fold(targets: Targets, groups: Indices, repeat: int, seed: int, rest: Indices, test: Indices) -> Fold:
    parts = np.array(split(targets[rest].astype(str).tolist(), groups[rest], seed, shares=_TRAINING_SHARES))
    return Fold(repeat, seed, rest[parts == TRAIN], rest[parts == VALIDATION], test)


def _too_few(folds: int) -> DatasetError:
    return DatasetError(
        f"expected photos of each label from more scenes than the {folds} folds, found too few: "
        "take fewer folds, or add photos from more places"
    )


def _seed(*numbers: int) -> int:
    """A seed below 2**32 from several numbers; unlike sums, these do not coincide for neighbouring seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
