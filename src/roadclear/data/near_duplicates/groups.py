"""Photos that look alike: copies of one picture, and pictures of one scene that are nearly the same.

Two signs are used, because each misses what the other finds. Perceptual hashes outlast a change of size, format or
colour and break when the picture is shifted; embeddings outlast a crop, a rotation or a frame and change
with the sharpness. Tables with both are in docs/look-alikes.md, measured by benchmarks/look_alikes.py.

A group is held together by links, so that its first photo need not look like its last.
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
        bits: hashes that differ in at most so many of 64 bits are enough.
        cosine: embeddings with at least this cosine similarity are enough.
        joint_bits: hashes this near are enough for embeddings of `joint_cosine`; at least `bits`.
        joint_cosine: see there; above 0 and at most `cosine`.
    """

    bits: int
    cosine: float
    joint_bits: int
    joint_cosine: float

    def matches(self, bits: NDArray[np.uint8], cosines: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which pairs look alike: bool [m], from the hash distances [m] and embedding cosines [m] of m pairs."""
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

    The links are a spanning forest of all pairs that match the rule: every link is such a pair, and two photos
    are connected by links exactly when they are by pairs. So there are fewer links than photos, whereas a thousand
    blank pictures have half a million pairs. Which links of several stand for a group depends on the order of
    the photos, what they connect does not. No matching pair is missed at any n.

    Args:
        fingerprints: uint64 [n, k], see `roadclear.images.phash`: the hash of each photo, then of its mirror image.
        embeddings: float32 [n, d], plain ones of the same photos, or None to go by hashes alone.
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

    Where all photos show one place or are drawn in one style, everything looks alike, and one group of everything
    leaves nothing to split. So a group of more than `largest` is grouped anew by the stricter `COPY`, and where
    that leaves it too large by `SAME_SHOT`; a group that is still larger stays one.

    Args:
        fingerprints: see `look_alikes`.
        embeddings: see `look_alikes`.
        rule: when two photos look alike.
        largest: see above; a tenth of the photos, and at least 5, unless given.

    Returns:
        int [n], numbered from 0 in order of first appearance; a photo like no other is a group of its own.
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
    """How many of n photos may look alike before looks are no longer a sign: a tenth of them, and at least 5."""
    return max(_LARGEST_FLOOR, n // 10)


def _components(fingerprints: NDArray[np.uint64], embeddings: NDArray[np.float32] | None, rule: Rule) -> Items:
    sets = DisjointSets(len(fingerprints))
    links = look_alikes(fingerprints, embeddings, rule)
    sets.join(links[:, 0], links[:, 1])
    return sets.numbered()


def hash_distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits in which photos differ, the lower of upright against upright and against mirrored.

    Args:
        a: uint64 [m, k], fingerprints.
        b: uint64 [m, k], of the photos to compare them with, one each.

    Returns:
        uint8 [m], 0 to 64; the same for (b, a).
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
    """Join the sets of i and j; the links that it took, int [m, 2], lower number first."""
    joined = sets.join(i, j)
    return np.column_stack([np.minimum(i, j)[joined], np.maximum(i, j)[joined]])


def _no_links() -> Items:
    return np.empty((0, 2), dtype=np.intp)
