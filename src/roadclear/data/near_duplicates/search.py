"""Candidate pairs of near hashes: a complete list, without comparing all photos with all.

The search is exact for up to 100,000 photos: no pair within the radius is missed, except pairs whose photos are in one
set already. Of more photos, each is compared with at most 64 others of a key, or runs of others of one set.

The caller checks the candidates, and joins the sets of the matches before asking for the next candidates. This keeps a
hundred thousand frames of one camera from becoming billions of pairs.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roadclear.data.near_duplicates.rules import MOST_COMPARED
from roadclear.data.near_duplicates.union_find import DisjointSets, Items

Candidates = Iterator[tuple[Items, Items]]
"""Batches of pairs: two arrays of photo numbers, int [m] each."""

_CHUNKS = ((0, 22), (22, 21), (43, 21))
_STEPS_BEFORE_REFRESH = 8
_MOST_STEPS = 64


def near_hashes(fingerprints: NDArray[np.uint64], radius: int, sets: DisjointSets) -> Candidates:
    """Yield candidates for hashes that differ in at most `radius` bits.

    Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast Search in Hamming Space with Multi-Index Hashing",
    section 2). A hash has three chunks. In one of the chunks, two near hashes differ in at most a third of the radius.
    So each chunk is looked up in a table, with up to a third of the radius in flipped bits.

    Args:
        fingerprints: uint64 [n, k], no row twice. The first hash of a photo is compared with all hashes of another.
        radius: largest number of differing bits.
        sets: sets of photos that are known to belong together.
    """
    for (shift, width), flips in zip(_CHUNKS, _flips_by_chunk(radius), strict=True):
        chunks = ((fingerprints >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.intp)
        table = _Table(chunks[:, 0], width, sets)
        for variant in range(fingerprints.shape[1]):
            queries = table.items if variant == 0 else np.argsort(chunks[:, variant], kind="stable")
            keys = chunks[queries, variant]
            for flip in flips:
                yield from table.partners(queries, keys ^ flip, each_pair_once=variant == 0)


def _flips_by_chunk(radius: int) -> list[list[int]]:
    """Return for every chunk the bit patterns within its share of the radius.

    Of m chunks, with radius = m q + r: either one of the first r + 1 differs in at most q bits, or one of
    the others in at most q - 1 (Norouzi et al., proposition 2).
    """
    share, rest = divmod(radius, len(_CHUNKS))
    return [
        [sum(1 << bit for bit in bits) for count in range(most + 1) for bits in combinations(range(width), count)]
        for most, (_, width) in zip(
            (share if index <= rest else share - 1 for index in range(len(_CHUNKS))), _CHUNKS, strict=True
        )
    ]


class _Table:
    """Photos sorted by key, and photos of one key sorted by set.

    A walk along the photos of a key jumps over every run of photos that are in the walker's set.
    """

    def __init__(self, keys: Items, width: int, sets: DisjointSets) -> None:
        self._sets = sets
        self.items: Items = np.lexsort((sets.roots(np.arange(len(keys))), keys))
        self._keys = keys[self.items]
        self._place = np.empty_like(self.items)
        self._place[self.items] = np.arange(len(keys))
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << width))])
        self._refresh_runs()

    def partners(self, queries: Items, keys: Items, each_pair_once: bool) -> Candidates:
        """Yield pairs of queries with the photos under their keys. With `each_pair_once` the queries are `items`."""
        place, end = self._starts[keys], self._starts[keys + 1]
        if each_pair_once:
            # A flip leads from either key to the other; without a flip the items under a key meet themselves.
            own = self._keys
            place = np.where(keys > own, place, np.where(keys == own, np.arange(len(keys)) + 1, end))
        walking = np.flatnonzero(place < end)
        queries, place, end = queries[walking], place[walking], end[walking]
        step, refresh_at = 0, _STEPS_BEFORE_REFRESH
        # Dark photos share a chunk, and are no copies: a hundred thousand of them would be billions of pairs.
        most = _MOST_STEPS if len(self.items) > MOST_COMPARED else len(self.items)
        while len(queries) and step < most:
            if step == refresh_at:
                self._refresh_runs()
                refresh_at *= 2
            in_own_set = self._run_roots[place] == self._run_roots[self._place[queries]]
            place = np.where(in_own_set, self._run_ends[place], place)
            walking = np.flatnonzero(place < end)
            queries, place, end = queries[walking], place[walking], end[walking]
            if len(queries):
                yield queries, self.items[place]
            place = place + 1
            step += 1

    def _refresh_runs(self) -> None:
        """Find the runs of photos of one set. Sets only grow, so old runs stay right, and are at worst too short."""
        roots = self._sets.roots(self.items)
        last = np.flatnonzero(np.append(roots[1:] != roots[:-1], True))
        # One more of each, for walkers that have arrived at the very end.
        self._run_roots = np.append(roots, -1)
        self._run_ends = np.append(np.repeat(last + 1, np.diff(last, prepend=-1)), len(roots))
