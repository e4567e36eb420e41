"""Perceptual hashes: 64 bits that stay nearly the same when a picture is resized, recompressed or recoloured.

The hash is pHash: each bit says whether one of the picture's lowest frequencies exceeds their median (Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1).
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 32
_FREQUENCIES = 8


def _cosines() -> NDArray[np.float64]:
    """The lowest waves of the orthonormal discrete cosine transform (DCT-II), [8, 32]."""
    waves = np.cos(np.pi * np.outer(np.arange(_FREQUENCIES), 2 * np.arange(_SIDE) + 1) / (2 * _SIDE))
    waves *= math.sqrt(2 / _SIDE)
    waves[0] /= math.sqrt(2)
    return waves


_COSINES = _cosines()


def fingerprint(photo: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash a photo and its mirror image.

    Args:
        photo: uint8 RGB [S, S, 3], upright; S is a multiple of 32. Callers pass the square of
            `roadclear.images.decode.decode`, so that a photo and a squeezed copy have the same hash.

    Returns:
        uint64 [2]: 64-bit hash of the photo, and of the photo mirrored left to right. Hashes of plain-coloured photos
        differ in at most one bit.
    """
    # Rounded to whole units: smaller values are rounding errors, which must not set the bits of an even surface.
    frequencies = np.rint(_COSINES @ _block_means(photo) @ _COSINES.T)
    mirrored = frequencies.copy()
    # Mirroring left to right changes the sign of cosines with an odd number of half-waves, and no others.
    mirrored[:, 1::2] *= -1
    return np.array([_bits(frequencies), _bits(mirrored)], dtype=np.uint64)


def _block_means(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Whole means of the grey values of 32 x 32 blocks of equal size."""
    return np.asarray(Image.fromarray(photo).convert("L").reduce(len(photo) // _SIDE))


def _bits(frequencies: NDArray[np.float64]) -> int:
    ordered = np.sort(frequencies, axis=None)
    middle = len(ordered) // 2
    above = frequencies.ravel() > ordered[middle - 1 : middle + 1].mean()
    return int.from_bytes(np.packbits(above).tobytes(), "big")
