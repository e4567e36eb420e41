"""Photos that look alike: copies of one picture, and pictures of one scene that are nearly the same.

Two signs are used, because each misses pairs that the other finds. Perceptual hashes survive a change of size, format
or colour, and break when the picture is shifted. Embeddings survive a crop, a rotation or a frame, and change with the
sharpness. docs/look-alikes.md has tables with both, measured by benchmarks/look_alikes.py.

Links hold a group together, so the first photo of a group need not look like the last.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.near_duplicates.search import near_embeddings, near_hashes
from roadclear.data.near_duplicates.union_find import DisjointSets, Items
from roadclear.utils.arrays import unit

_PAIRS_AT_A_TIME = 2048
_LARGEST_FLOOR = 5


@dataclass(frozen=True)
class Rule:
    """When two photos look alike: by their hashes, by their embeddings, or by a bit of both.

    Attributes:
        bits: largest number of differing bits, of 64, for which the hashes alone are enough.
        cosine: smallest cosine similarity for which the embeddings alone are enough.
        joint_bits: largest number of differing bits for which embeddings of `joint_cosine` are enough; at least `bits`.
        joint_cosine: smallest cosine similarity for which hashes of `joint_bits` are enough; above 0, at most `cosine`.
    """

    bits: int
    cosine: float
    joint_bits: int
    joint_cosine: float

    def matches(self, bits: NDArray[np.uint8], cosines: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of m pairs look alike, bool [m], from hash distances [m] and cosines of embeddings [m]."""
        near = (cosines >= self.joint_cosine) & (bits <= self.joint_bits)
        return np.asarray(near | (cosines >= self.cosine) | (bits <= self.bits))


# Chosen on 786 road photos and 11 changed copies of each: what share of the copies is found, and how many of 7.4
# million pairs of photos of different scenes match in error. See docs/look-alikes.md.
COPY = Rule(bits=6, cosine=0.92, joint_bits=12, joint_cosine=0.88)
"""For setting copies aside, where an error loses a photo: no false match there."""

LOOK_ALIKE = Rule(bits=8, cosine=0.90, joint_bits=16, joint_cosine=0.86)
"""For keeping photos on one side of a split, where an error costs next to nothing: about one in a million."""

SAME_SHOT = Rule(bits=2, cosine=0.97, joint_bits=4, joint_cosine=0.95)
"""For sets in which everything looks alike: files of one shot, and frames of one clip a fraction of a second apart."""


def look_alikes(
    fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32] | None, rule: Rule = LOOK_ALIKE
) -> Items:
    """Link photos that look alike.

    Returns a spanning forest instead of all matching pairs: the connected components are the same, with at most n - 1
    edges. A thousand blank photos would give half a million pairs. No matching pair is missed. The links depend on the
    order of the photos, the components do not.

    Args:
        fingerprints: uint64 [n, k], hash of each photo, then of its mirror image; see `roadclear.images.phash`.
        embeddings: float32 [n, d], embeddings of the plain photos, or None to use hashes alone.
        rule: when two photos look alike.

    Returns:
        int [m, 2] with m < n, or m = 0: links i < j, sorted.
    """
    sets = DisjointSets(len(fingerprints))
    links = [_identical_links(fingerprints, sets)]
    links.append(_hash_links(fingerprints, rule, sets))
    if embeddings is not None:
        links.append(_embedding_links(fingerprints, embeddings, rule, sets))
    found = np.concatenate(links)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def group(
    fingerprints: NDArray[np.uint64],
    embeddings: NDArray[np.float32] | None,
    rule: Rule = LOOK_ALIKE,
    largest: int | None = None,
) -> Items:
    """Group photos that look alike, directly or through others (connected components).

    If all photos show one place or are drawn in one style, all photos look alike, and one group of all photos cannot
    be split. So a group of more than `largest` photos is grouped anew by the stricter rule `COPY`, and a group that is
    still too large by `SAME_SHOT`. A group that is too large even then stays one group.

    Args:
        fingerprints: uint64 [n, k], see `look_alikes`.
        embeddings: float32 [n, d] or None, see `look_alikes`.
        rule: when two photos look alike.
        largest: largest group that is kept; None for a tenth of the photos, and at least 5.

    Returns:
        int [n], number of each photo's group, from 0 in order of first appearance. A photo like no other is a group.
    """
    n = len(fingerprints)
    largest = largest_expected(n) if largest is None else largest
    groups = _components(fingerprints, embeddings, rule)
    for stricter in (COPY, SAME_SHOT):
        for too_large in np.flatnonzero(np.bincount(groups) > largest):
            members = np.flatnonzero(groups == too_large)
            theirs = None if embeddings is None else embeddings[members]
            groups[members] = groups.max() + 1 + _components(fingerprints[members], theirs, stricter)
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[which], dtype=np.intp)


def largest_expected(n: int) -> int:
    """Return how many of n photos may look alike before looks mean nothing: a tenth of n, and at least 5."""
    return max(_LARGEST_FLOOR, n // 10)


def _components(fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32] | None, rule: Rule) -> Items:
    sets = DisjointSets(len(fingerprints))
    links = look_alikes(fingerprints, embeddings, rule)
    sets.join(links[:, 0], links[:, 1])
    return sets.numbered()


def hash_distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the bits in which photos differ: the lower count of upright with upright, and upright with mirrored.

    Args:
        a: uint64 [m, k], fingerprints of photos.
        b: uint64 [m, k], fingerprints of the photos to compare with.

    Returns:
        uint8 [m], 0 to 64. Swapping a and b changes nothing.
    """
    differing = np.bitwise_count(np.concatenate([a[:, :1] ^ b, a ^ b[:, :1]], axis=1))
    return np.asarray(differing.min(axis=1), dtype=np.uint8)


def _identical_links(fingerprints: NDArray[np.uint64], sets: DisjointSets) -> Items:
    """Link each photo to the first one with the same fingerprint."""
    _, first, which = np.unique(fingerprints, axis=0, return_index=True, return_inverse=True)
    return _join(first[which.ravel()], np.arange(len(fingerprints)), sets)


def _hash_links(fingerprints: NDArray[np.uint64], rule: Rule, sets: DisjointSets) -> Items:
    different = np.unique(sets.roots(np.arange(len(fingerprints))))
    few, few_sets = fingerprints[different], DisjointSets(len(different))
    links = [_no_links()]
    for a, b in near_hashes(few, rule.bits, few_sets):
        alike = hash_distance(few[a], few[b]) <= rule.bits
        links.append(different[_join(a[alike], b[alike], few_sets)])
    found = np.concatenate(links)
    return _join(found[:, 0], found[:, 1], sets)


def _embedding_links(
    fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32], rule: Rule, sets: DisjointSets
) -> Items:
    links = [_no_links()]
    for i, j in near_embeddings(embeddings, rule.joint_cosine, sets):
        for start in range(0, len(i), _PAIRS_AT_A_TIME):
            some = slice(start, start + _PAIRS_AT_A_TIME)
            apart = sets.roots(i[some]) != sets.roots(j[some])
            a, b = i[some][apart], j[some][apart]
            cosines = np.einsum("ij,ij->i", unit(embeddings[a]), unit(embeddings[b]))
            alike = rule.matches(hash_distance(fingerprints[a], fingerprints[b]), cosines)
            links.append(_join(a[alike], b[alike], sets))
    return np.concatenate(links)


def _join(i: Items, j: Items, sets: DisjointSets) -> Items:
    """Join the sets of i and j. Return the links that joined two sets, int [m, 2], lower number first."""
    joined = sets.join(i, j)
    return np.column_stack([np.minimum(i, j)[joined], np.maximum(i, j)[joined]])


def _no_links() -> Items:
    return np.empty((0, 2), dtype=np.intp)
