"""Train, validation and test parts that share no scene and no file.

Photos that belong together (frames of one camera, copies of one file) are put in one group, and a group never
straddles two parts: otherwise the test set holds what the network was trained on, and its accuracy is a claim.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import DatasetError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
SHARES = {TRAIN: 0.70, VALIDATION: 0.15, TEST: 0.15}

_ORDERS_TRIED = 200


def group_ids(ties: Sequence[Collection[Hashable]]) -> NDArray[np.intp]:
    """Number the groups of photos that are tied together, directly or through others.

    Args:
        ties: for every photo, what ties it to others: two photos that share a tie are in one group, and so
            are the photos tied to either (connected components).

    Returns:
        int [n], numbered in order of first appearance; a photo without ties is a group of its own.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns: dict[Hashable, int] = {}
    pairs = [(row, columns.setdefault(tie, len(columns))) for row, keys in enumerate(ties) for tie in keys]
    n = len(ties)
    rows = np.array([row for row, _ in pairs], dtype=np.intp)
    cols = np.array([n + col for _, col in pairs], dtype=np.intp)
    nodes = n + len(columns)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (rows, cols)), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component[:n], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


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
        fixed: [n] the part that every photo was put in beforehand, if any. It is honoured; a part that is
            missing there is drawn from the photos fixed to train.
        shares: part -> its share of the photos; train, validation and test by 70/15/15 unless told otherwise.

    Returns:
        [n] names of parts.

    Raises:
        DatasetError: a part would hold no photo of one label, or a group is fixed to two parts.
    """
    _, label_codes = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.zeros((groups.max(initial=-1) + 1, label_codes.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (groups, label_codes), 1)
    if fixed is None:
        assigned = _assign(counts, np.arange(len(counts)), shares, seed)
    else:
        assigned = _fixed_groups(groups, fixed)
        open_parts = [part for part in shares if part == TRAIN or part not in fixed]
        pool = np.array([group for group, part in assigned.items() if part == TRAIN], dtype=np.intp)
        assigned |= _assign(counts, pool, {part: shares[part] for part in open_parts}, seed)
    parts = [assigned[group] for group in groups.tolist()]
    _check_every_part_has_both_labels(parts, labels, shares)
    return parts


def _fixed_groups(groups: NDArray[np.intp], fixed: Sequence[str]) -> dict[int, str]:
    """Group -> the part that its photos were put in."""
    assigned: dict[int, str] = {}
    for group, part in zip(groups.tolist(), fixed, strict=True):
        if assigned.setdefault(group, part) != part:
            raise DatasetError(
                f"the folders hold copies of one photo, or frames of one scene, in both {assigned[group]} and "
                f"{part}: move them to one side, since a test on photos seen in training measures nothing"
            )
    return assigned


def _assign(
    counts: NDArray[np.int64], groups: NDArray[np.intp], shares: Mapping[str, float], seed: int
) -> dict[int, str]:
    """Spread groups over parts, so that each part nears its share of every label.

    Of many random orders of the groups, each cut where the parts' shares end, the one whose parts come nearest
    to their shares is taken. So every group has its chance of every part: filling the parts greedily by size
    would put all large scenes on one side, and the test would be about something else than the training.

    Args:
        counts: int [groups, labels], photos of each label in each group.
        groups: int [m], the groups to spread.
        shares: part -> share, scaled here to sum to one.
        seed: of the orders.
    """
    parts = list(shares)
    relative = np.array([shares[part] for part in parts]) / sum(shares.values())
    wanted = np.outer(relative, counts[groups].sum(axis=0))
    draw = np.random.default_rng(seed)
    best: tuple[float, dict[int, str]] = (np.inf, {})
    for _ in range(_ORDERS_TRIED):
        order = draw.permutation(groups)
        sizes = counts[order].sum(axis=1)
        middle = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
        part = np.searchsorted(np.cumsum(relative)[:-1], middle)
        filled = np.zeros_like(wanted)
        np.add.at(filled, part, counts[order])
        deviation = float((((filled - wanted) / np.maximum(wanted, 1)) ** 2).sum())
        if deviation < best[0]:
            best = deviation, {g: parts[p] for g, p in zip(order.tolist(), part.tolist(), strict=True)}
    return best[1]


def _check_every_part_has_both_labels(parts: Sequence[str], labels: Sequence[str], expected: Iterable[str]) -> None:
    found = set(zip(parts, labels, strict=True))
    for part in expected:
        for label in sorted(set(labels)):
            if (part, label) not in found:
                raise DatasetError(
                    f"no {label!r} photo is left for the {part} part: every part needs photos of both labels, "
                    "from scenes of its own; add photos from more places"
                )
