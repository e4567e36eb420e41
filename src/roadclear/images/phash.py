"""Perceptual hashes: a few bits that stay nearly the same when a picture is resized, recompressed or recoloured.

The hash is pHash: the signs of a picture's lowest frequencies against their median (Zauner, "Implementation and
Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1).
"""

import numpy as np
from numpy.typing import NDArray

_SIDE = 32
_FREQUENCIES = 8


def fingerprint(photo: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash a photo and its mirror image.

    Args:
        photo: uint8 RGB [height, width, 3], upright, at least 32 pixels a side; in practice the square that
            `roadclear.images.decode.decode` gives, so that a photo and a squeezed copy of it are one.

    Returns:
        uint64 [2]: the 64-bit hash of the photo, then that of the photo mirrored left to right. Photos of one even
        colour differ in at most one bit.
    """
    import cv2

    grey = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    # Less than one unit is rounding, of which an even surface must not get its bits.
    frequencies = np.rint(cv2.dct(grey.astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES])
    mirrored = frequencies.copy()
    # Mirrored left to right, a cosine of an odd number of half-waves changes its sign, and an even one stays.
    mirrored[:, 1::2] *= -1
    return np.array([_bits(frequencies), _bits(mirrored)], dtype=np.uint64)


def _bits(frequencies: NDArray[np.float32]) -> int:
    above = frequencies.ravel() > np.median(frequencies)
    return int.from_bytes(np.packbits(above).tobytes(), "big")
