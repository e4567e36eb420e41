"""Train, validation and test splits that share no group of photos.

Photos that belong together (frames of one camera, copies of one file) are one group, and a group stays in one split.
Otherwise test photos resemble training photos (leakage), and the test accuracy is too high.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SHARES = {TRAIN: 0.70, VALIDATION: 0.15, TEST: 0.15}

# Largest number of draws. With many groups the first draw is near enough.
_DRAWS = 200
# Largest number of groups in all draws together. Among 100,000 groups there are 200 draws, among a million 20.
_MOST_DRAWN = 20_000_000
# A draw is near enough where no split misses its share of a label by more than this part, or by more than a group.
_TOLERANCE = 0.05

Keys = NDArray[np.uint64]
"""Numbers that decide where groups come, whatever the other groups are."""


def assign_splits(
    labels: Sequence[str],
    groups: NDArray[np.intp],
    seed: int,
    fixed: Sequence[str] | None = None,
    shares: Mapping[str, float] = SHARES,
    hashes: Sequence[str] | None = None,
) -> list[str]:
    """Assign every photo to a split, by whole groups, so that each split comes near its share of both labels.

    With hashes, few photos change their split where few photos are added, removed or relabelled.

    Args:
        labels: [n] label names.
        groups: int [n], group numbers from `roadclear.data.groups.group_ids`.
        seed: random seed of the draw.
        fixed: [n] prescribed splits, or None. Prescribed splits are kept, even where they divide a group. A split that
            is prescribed for no photo is drawn from the photos prescribed to train.
        shares: split -> its share of the photos. The default is train, validation and test by 70/15/15.
        hashes: [n] SHA-256 of the photos' files, in hex. Then the order of the photos does not matter. With None, the
            order of the groups decides.

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
    keys = _keys(len(counts), pool_groups, None if hashes is None else [hashes[i] for i in pool.tolist()])
    splits[pool] = _assign_groups(counts, open_shares, keys, seed)[pool_groups]
    result = [str(name) for name in splits]
    check_splits(result, labels, shares)
    return result


def keep_splits(
    splits: Sequence[str], groups: NDArray[np.intp], hashes: Sequence[str], kept: Mapping[str, str]
) -> list[str]:
    """Let photos keep the splits that they had, and photos of their groups come to the same split.

    Where groups of different splits were joined, train comes before validation, and validation before test. So no
    photo that a head was trained on becomes a test photo.

    Args:
        splits: [n] splits that were drawn, for groups without a kept photo.
        groups: int [n], group numbers.
        hashes: [n] SHA-256 of the photos' files, in hex.
        kept: SHA-256 -> split that the photo had.

    Returns:
        [n] names of splits.
    """
    of_group: dict[int, str] = {}
    numbers: list[int] = groups.tolist()
    for group, sha256 in zip(numbers, hashes, strict=True):
        if sha256 in kept:
            of_group[group] = min(of_group.get(group, TEST), kept[sha256], key=SPLITS.index)
    return [of_group.get(group, split) for group, split in zip(numbers, splits, strict=True)]


def leaking_photos(groups: NDArray[np.intp], splits: Sequence[str]) -> NDArray[np.bool_]:
    """Find validation and test photos that share a group with a training photo: bool [n]."""
    in_train = np.asarray(splits) == TRAIN
    return np.asarray(~in_train & np.isin(groups, groups[in_train]))


def _keys(count: int, groups: NDArray[np.intp], hashes: Sequence[str] | None) -> Keys:
    """Make a key for each of `count` groups, from the smallest hash of its photos, or from its number."""
    if hashes is None:
        return np.arange(count, dtype=np.uint64)
    smallest = np.full(count, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, groups, np.array([int(text[:16], 16) for text in hashes], dtype=np.uint64))
    return smallest


def _assign_groups(
    counts: NDArray[np.int64], shares: Mapping[str, float], keys: Keys, seed: int
) -> NDArray[np.object_]:
    """Assign groups to splits, so that each split has photos of every label, near its share of them.

    In each draw the groups of each label are put in a random order, which is cut where the shares end. A mixed group
    counts for the label of most of its photos. The place of a group in the order follows from its key, so that a
    change of one group moves few others.

    The first draw that is near enough is taken. Without one, the best draw has the fewest splits that lack a label;
    ties go to the smallest deviation from the requested shares.

    Every group can come into every split. Filling splits greedily by size would put all large scenes into one split,
    and test photos would differ from training photos.

    Args:
        counts: int [m, labels], photos of each label in each group.
        shares: split -> share; scaled here to a sum of one.
        keys: [m] keys of the groups.
        seed: random seed of the draws.

    Returns:
        [m] name of the split of every group.
    """
    relative = np.array(list(shares.values())) / sum(shares.values())
    expected = np.outer(relative, counts.sum(axis=0))
    main_label = counts.argmax(axis=1)
    largest = counts.max(axis=0, initial=0) + 1
    # Among draws of large groups only the best is near, and an early end would favour draws with these groups in train.
    tolerated = (
        np.maximum(_TOLERANCE * expected, largest) if (3 * largest <= expected).all() else np.zeros_like(expected)
    )
    lowest, best = (np.inf, np.inf), np.zeros(len(counts), dtype=np.intp)
    for number in range(min(_DRAWS, max(1, _MOST_DRAWN // max(len(counts), 1)))):
        order = np.argsort(_scrambled(keys, seed, number), kind="stable")
        draw = np.random.default_rng([seed, number])
        assigned = np.empty(len(counts), dtype=np.intp)
        for label in np.unique(main_label):
            of_label = order[main_label[order] == label]
            assigned[of_label] = _cut(counts[of_label].sum(axis=1), relative, draw)
        filled = np.zeros_like(expected)
        np.add.at(filled, assigned, counts)
        lacking = float(np.sum((filled == 0) & (expected > 0)))
        deviation = float((((filled - expected) / np.maximum(expected, 1)) ** 2).sum())
        if (lacking, deviation) < lowest:
            lowest, best = (lacking, deviation), assigned
        if not lacking and (np.abs(filled - expected) <= tolerated).all():
            best = assigned
            break
    return np.array(list(shares), dtype=object)[best]


def _scrambled(keys: Keys, seed: int, draw: int) -> Keys:
    """Mix keys with the seed and the number of a draw (SplitMix64, Steele, Lea and Flood 2014, section 4)."""
    salt = hashlib.sha256(f"{seed} {draw}".encode()).digest()[:8]
    mixed = keys ^ np.frombuffer(salt, dtype="<u8")[0]
    with np.errstate(over="ignore"):
        mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


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


def check_splits(splits: Sequence[str], labels: Sequence[str], expected: Iterable[str]) -> None:
    """Refuse splits of which one lacks photos of a label.

    Args:
        splits: [n] names of the photos' splits.
        labels: [n] labels of the photos.
        expected: splits that must have photos of both labels.

    Raises:
        DatasetError: a split would have no photo of a label.
    """
    found = set(zip(splits, labels, strict=True))
    for split in expected:
        for label in sorted(set(labels)):
            if (split, label) not in found:
                raise DatasetError(
                    f"no {label!r} photo is left for the {split} split: every split needs photos of both labels, "
                    "from scenes of its own; add photos from more places"
                )
