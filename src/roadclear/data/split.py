"""Train, validation and test parts that share no scene and no file.

Photos that belong together (frames of one camera, copies of one file) are put in one group, and a group never
straddles two parts: otherwise the test set holds what the network was trained on, and its accuracy is a claim.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SHARES = {TRAIN: 0.70, VALIDATION: 0.15, TEST: 0.15}

# Draws for a split of few groups; with many groups every draw is near the shares, and fewer are made.
_DRAWS = 200
_GROUPS_DRAWN = 100_000


def split(
    labels: Sequence[str],
    groups: NDArray[np.intp],
    seed: int,
    fixed: Sequence[str] | None = None,
    shares: Mapping[str, float] = SHARES,
) -> list[str]:
    """Assign every photo to a part, by whole groups, so that each part comes near its share of both labels.

    Args:
        labels: [n] label names.
        groups: int [n], from `group_ids`.
        seed: of the draw.
        fixed: [n] the part that every photo was put in beforehand, if any. It is honoured, also where it parts a
            group; a part that is missing there is drawn from the photos fixed to train.
        shares: part -> its share of the photos; train, validation and test by 70/15/15 unless told otherwise.

    Returns:
        [n] names of parts.

    Raises:
        DatasetError: a part would hold no photo of one label.
    """
    parts = np.array(fixed if fixed is not None else [TRAIN] * len(labels), dtype=object)
    open_shares = {part: share for part, share in shares.items() if part == TRAIN or part not in parts}
    pool = np.flatnonzero(parts == TRAIN)
    _, label_codes = np.unique(np.asarray(labels), return_inverse=True)
    _, pool_groups = np.unique(groups[pool], return_inverse=True)
    counts = np.zeros((pool_groups.max(initial=-1) + 1, label_codes.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (pool_groups, label_codes[pool]), 1)
    parts[pool] = _assign(counts, open_shares, seed)[pool_groups]
    result = [str(part) for part in parts]
    _check_every_part_has_both_labels(result, labels, shares)
    return result


def leaking_photos(groups: NDArray[np.intp], parts: Sequence[str]) -> NDArray[np.bool_]:
    """Which photos beside train share a group with a training photo: bool [n]."""
    in_train = np.asarray(parts) == TRAIN
    return np.asarray(~in_train & np.isin(groups, groups[in_train]))


def _assign(counts: NDArray[np.int64], shares: Mapping[str, float], seed: int) -> NDArray[np.object_]:
    """Spread groups over parts, so that each part has photos of every label, near its share of them.

    The groups of each label (of mixed groups: of most of their photos) are put in a random order, which is cut where
    the parts' shares end. Of many such draws the one whose parts lack the fewest labels is taken, and among those the
    one whose parts come nearest to their shares. So every group has its chance of every part: filling the parts
    greedily by size would put all large scenes on one side, and the test would be about something else than the
    training.

    Args:
        counts: int [m, labels], photos of each label in each group.
        shares: part -> share, scaled here to sum to one.
        seed: of the draws.

    Returns:
        [m] the part of every group.
    """
    relative = np.array(list(shares.values())) / sum(shares.values())
    wanted = np.outer(relative, counts.sum(axis=0))
    main_label = counts.argmax(axis=1)
    draw = np.random.default_rng(seed)
    lowest, best = (np.inf, np.inf), np.zeros(len(counts), dtype=np.intp)
    for _ in range(max(10, min(_DRAWS, _GROUPS_DRAWN // max(len(counts), 1)))):
        part = np.empty(len(counts), dtype=np.intp)
        for label in np.unique(main_label):
            order = draw.permutation(np.flatnonzero(main_label == label))
            part[order] = _cut(counts[order].sum(axis=1), relative, draw)
        filled = np.zeros_like(wanted)
        np.add.at(filled, part, counts)
        lacking = float(np.sum((filled == 0) & (wanted > 0)))
        deviation = float((((filled - wanted) / np.maximum(wanted, 1)) ** 2).sum())
        if (lacking, deviation) < lowest:
            lowest, best = (lacking, deviation), part
    return np.array(list(shares), dtype=object)[best]


def _cut(sizes: NDArray[np.int64], shares: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.intp]:
    """Cut a row of groups where the shares end, but leave no part empty; too few groups go to different parts.

    Args:
        sizes: int [m], photos in each group.
        shares: [parts], which sum to one.
        draw: chooses the parts of too few groups.

    Returns:
        [m] number of the part of every group.
    """
    m, parts = len(sizes), len(shares)
    if m < parts:
        return draw.permutation(parts)[:m]
    middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    ends = np.searchsorted(middle, np.cumsum(shares)[:-1], side="right")
    least = np.arange(1, parts)
    ends = np.maximum.accumulate(np.maximum(ends - least, 0)) + least
    ends = np.minimum(ends, m - parts + least)
    return np.searchsorted(ends, np.arange(m), side="right")


def _check_every_part_has_both_labels(parts: Sequence[str], labels: Sequence[str], expected: Iterable[str]) -> None:
    found = set(zip(parts, labels, strict=True))
    for part in expected:
        for label in sorted(set(labels)):
            if (part, label) not in found:
                raise DatasetError(
                    f"no {label!r} photo is left for the {part} part: every part needs photos of both labels, "
                    "from scenes of its own; add photos from more places"
                )
