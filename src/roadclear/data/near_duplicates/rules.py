"""Rules: when two photos look alike, by perceptual hash and by embedding.

Two signs are used, because each misses pairs that the other finds. Perceptual hashes survive a change of size, format
or colour, and break when the picture is shifted. Embeddings survive a crop, a rotation or a frame, and change with the
sharpness. docs/look-alikes.md has tables with both, measured by benchmarks/look_alikes.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


MOST_COMPARED = 100_000
"""Largest number of photos of which all are compared with all. More photos are compared within cells, by `COPY`."""


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
