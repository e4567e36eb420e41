"""Photos that look alike: copies of one picture, and pictures of one scene that are nearly the same.

Links hold a group together, so the first photo of a group need not look like the last.
"""

import numpy as np
from numpy.typing import NDArray

from roadclear.data.near_duplicates.embeddings import Looks, embedding_links
from roadclear.data.near_duplicates.rules import COPY, LOOK_ALIKE, MOST_COMPARED, SAME_SHOT, Rule, hash_distance
from roadclear.data.near_duplicates.search import near_hashes
from roadclear.data.near_duplicates.union_find import NO_LINKS, DisjointSets, Items
from roadclear.utils.rows import Rows

_LARGEST_FLOOR = 5


def look_alikes(fingerprints: NDArray[np.uint64], embeddings: Rows | None, rule: Rule = LOOK_ALIKE) -> Items:
    """Link photos that look alike.

    Returns a spanning forest instead of all matching pairs: the connected components are the same, with at most n - 1
    edges. A thousand blank photos would give half a million pairs. No matching pair is missed up to 100,000 photos. The
    links depend on the order of the photos, the components do not.

    Args:
        fingerprints: uint64 [n, k], hash of each photo, then of its mirror image; see `roadclear.images.phash`.
        embeddings: float32 [n, d], embeddings of the plain photos, or None to use hashes alone.
        rule: when two photos look alike.

    Returns:
        int [m, 2] with m < n, or m = 0: links i < j, sorted.
    """
    found = _links(fingerprints, embeddings, rule, np.arange(len(fingerprints)))
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def group(
    fingerprints: NDArray[np.uint64],
    embeddings: Rows | None,
    rule: Rule | None = None,
    largest: int | None = None,
) -> Items:
    """Group photos that look alike, directly or through others (connected components).

    If all photos show one place or are drawn in one style, all photos look alike, and one group of all photos cannot
    be split. So a group of more than `largest` photos is grouped anew by the stricter rule `COPY`, and a group that is
    still too large by `SAME_SHOT`. A group that is too large even then stays one group.

    More than 100,000 photos are not compared all with all, so pairs may be missed: see docs/look-alikes.md.

    Args:
        fingerprints: uint64 [n, k], see `look_alikes`.
        embeddings: float32 [n, d] or None, see `look_alikes`.
        rule: when two photos look alike; None for `LOOK_ALIKE`, or `COPY` for more than 100,000 photos, where a rare
            error would chain most photos into one group.
        largest: largest group that is kept; None for a tenth of the photos, and at least 5.

    Returns:
        int [n], number of each photo's group, from 0 in order of first appearance. A photo like no other is a group.
    """
    n = len(fingerprints)
    largest = largest_expected(n) if largest is None else largest
    rule = rule or (LOOK_ALIKE if n <= MOST_COMPARED else COPY)
    groups = _components(fingerprints, embeddings, rule, np.arange(n))
    for stricter in (COPY, SAME_SHOT):
        for too_large in np.flatnonzero(np.bincount(groups) > largest):
            members = np.flatnonzero(groups == too_large)
            groups[members] = groups.max() + 1 + _components(fingerprints[members], embeddings, stricter, members)
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[which], dtype=np.intp)


def largest_expected(n: int) -> int:
    """Return how many of n photos may look alike before looks mean nothing: a tenth of n, and at least 5."""
    return max(_LARGEST_FLOOR, n // 10)


def _components(fingerprints: NDArray[np.uint64], embeddings: Rows | None, rule: Rule, rows: Items) -> Items:
    sets = DisjointSets(len(fingerprints))
    links = _links(fingerprints, embeddings, rule, rows)
    sets.join(links[:, 0], links[:, 1])
    return sets.numbered()


def _links(fingerprints: NDArray[np.uint64], embeddings: Rows | None, rule: Rule, rows: Items) -> Items:
    """Link photos that look alike, see `look_alikes`. `rows` are the photos' rows in `embeddings`, int [n]."""
    sets = DisjointSets(len(fingerprints))
    links = [_identical_links(fingerprints, sets)]
    links.append(_hash_links(fingerprints, rule, sets))
    if embeddings is not None:
        links.append(embedding_links(Looks(fingerprints, embeddings, rows), rule, sets))
    return np.concatenate(links)


def _identical_links(fingerprints: NDArray[np.uint64], sets: DisjointSets) -> Items:
    """Link each photo to the first one with the same fingerprint."""
    _, first, which = np.unique(fingerprints, axis=0, return_index=True, return_inverse=True)
    return sets.link(first[which.ravel()], np.arange(len(fingerprints)))


def _hash_links(fingerprints: NDArray[np.uint64], rule: Rule, sets: DisjointSets) -> Items:
    different = np.unique(sets.roots(np.arange(len(fingerprints))))
    few, few_sets = fingerprints[different], DisjointSets(len(different))
    links = [NO_LINKS]
    for a, b in near_hashes(few, rule.bits, few_sets):
        alike = hash_distance(few[a], few[b]) <= rule.bits
        links.append(different[few_sets.link(a[alike], b[alike])])
    found = np.concatenate(links)
    return sets.link(found[:, 0], found[:, 1])
