"""Train, validation and test splits that share no group of photos.

Photos that belong together (frames of one camera, copies of one file) are one group, and a group stays in one split.
Otherwise test photos resemble training photos (leakage), and the test accuracy is too high.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SHARES = {TRAIN: 0.70, VALIDATION: 0.15, TEST: 0.15}

# Number of draws for few groups. With many groups every draw is near the shares, so fewer draws suffice.
_DRAWS = 200
_GROUPS_DRAWN = 100_000


def assign_splits(
    labels: Sequence[str],
    groups: NDArray[np.intp],
    seed: int,
    fixed: Sequence[str] | None = None,
    shares: Mapping[str, float] = SHARES,
) -> list[str]:
    """Assign every photo to a split, by whole groups, so that each split comes near its share of both labels.

    Args:
        labels: [n] label names.
        groups: int [n], group numbers from `roadclear.data.groups.group_ids`.
        seed: random seed of the draw.
        fixed: [n] prescribed splits, or None. Prescribed splits are kept, even where they divide a group. A split that
            is prescribed for no photo is drawn from the photos prescribed to train.
        shares: split -> its share of the photos. The default is train, validation and test by 70/15/15.

    Returns:
        [n] names of splits.

    Raises:
        DatasetError: a split would have no photo of a label.
    """
    splits = np.array(fixed if fixed is not None else [TRAIN] * len(labels), dtype=object)
    open_shares = {name: share for name, share in shares.items() if name == TRAIN or name not in splits}
    pool = np.flatnonzero(splits == TRAIN)
    _, label_codes = np.unique(np.asarray(labels), return_inverse=True)
    _, pool_groups = np.unique(groups[pool], return_inverse=True)
    counts = np.zeros((pool_groups.max(initial=-1) + 1, label_codes.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (pool_groups, label_codes[pool]), 1)
    splits[pool] = _assign_groups(counts, open_shares, seed)[pool_groups]
    result = [str(name) for name in splits]
    _check_labels_of_every_split(result, labels, shares)
    return result


def leaking_photos(groups: NDArray[np.intp], splits: Sequence[str]) -> NDArray[np.bool_]:
    """Find validation and test photos that share a group with a training photo: bool [n]."""
    in_train = np.asarray(splits) == TRAIN
    return np.asarray(~in_train & np.isin(groups, groups[in_train]))


def _assign_groups(counts: NDArray[np.int64], shares: Mapping[str, float], seed: int) -> NDArray[np.object_]:
    """Assign groups to splits, so that each split has photos of every label, near its share of them.

    In each draw the groups of each label are put in a random order, which is cut where the shares end. A mixed group
    counts for the label of most of its photos.

    Many random assignments are drawn. The best has the fewest splits that lack a label; ties go to the smallest
    deviation from the requested shares.

    Every group can come into every split. Filling splits greedily by size would put all large scenes into one split,
    and test photos would differ from training photos.

    Args:
        counts: int [m, labels], photos of each label in each group.
        shares: split -> share; scaled here to a sum of one.
        seed: random seed of the draws.

    Returns:
        [m] name of the split of every group.
    """
    relative = np.array(list(shares.values())) / sum(shares.values())
    expected = np.outer(relative, counts.sum(axis=0))
    main_label = counts.argmax(axis=1)
    draw = np.random.default_rng(seed)
    lowest, best = (np.inf, np.inf), np.zeros(len(counts), dtype=np.intp)
    for _ in range(max(10, min(_DRAWS, _GROUPS_DRAWN // max(len(counts), 1)))):
        assigned = np.empty(len(counts), dtype=np.intp)
        for label in np.unique(main_label):
            order = draw.permutation(np.flatnonzero(main_label == label))
            assigned[order] = _cut(counts[order].sum(axis=1), relative, draw)
        filled = np.zeros_like(expected)
        np.add.at(filled, assigned, counts)
        lacking = float(np.sum((filled == 0) & (expected > 0)))
        deviation = float((((filled - expected) / np.maximum(expected, 1)) ** 2).sum())
        if (lacking, deviation) < lowest:
            lowest, best = (lacking, deviation), assigned
    return np.array(list(shares), dtype=object)[best]


def _cut(sizes: NDArray[np.int64], shares: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.intp]:
    """Cut a row of groups where the shares end, but leave no split empty.

    With fewer groups than splits, every group goes to another split, drawn at random.

    Args:
        sizes: int [m], photos in each group.
        shares: float [k], shares of the splits, with a sum of one.
        draw: random generator for fewer groups than splits.

    Returns:
        [m] number of the split of every group.
    """
    m, splits = len(sizes), len(shares)
    if m < splits:
        return draw.permutation(splits)[:m]
    middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    ends = np.searchsorted(middle, np.cumsum(shares)[:-1], side="right")
    least = np.arange(1, splits)
    ends = np.maximum.accumulate(np.maximum(ends - least, 0)) + least
    ends = np.minimum(ends, m - splits + least)
    return np.searchsorted(ends, np.arange(m), side="right")


def _check_labels_of_every_split(splits: Sequence[str], labels: Sequence[str], expected: Iterable[str]) -> None:
    found = set(zip(splits, labels, strict=True))
    for split in expected:
        for label in sorted(set(labels)):
            if (split, label) not in found:
                raise DatasetError(
                    f"no {label!r} photo is left for the {split} split: every split needs photos of both labels, "
                    "from scenes of its own; add photos from more places"
                )
