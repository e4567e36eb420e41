"""Perceptual hashes: 64 bits that stay nearly the same when a picture is resized, recompressed or recoloured.

The hash is pHash: each bit says whether one of the picture's lowest frequencies exceeds their median (Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1).
"""

import numpy as np
from numpy.typing import NDArray

_SIDE = 32
_FREQUENCIES = 8


def fingerprint(photo: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash a photo and its mirror image.

    Args:
        photo: uint8 RGB [height, width, 3], upright, at least 32 pixels per side. Callers pass the square of
            `roadclear.images.decode.decode`, so that a photo and a squeezed copy have the same hash.

    Returns:
        uint64 [2]: 64-bit hash of the photo, and of the photo mirrored left to right. Hashes of plain-coloured photos
        differ in at most one bit.
    """
    import cv2

    grey = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    # Rounded to whole units: smaller values are rounding errors, which must not set the bits of an even surface.
    frequencies = np.rint(cv2.dct(grey.astype(np.float32))[:_FREQUENCIES, :_FREQUENCIES])
    mirrored = frequencies.copy()
    # Mirroring left to right changes the sign of cosines with an odd number of half-waves, and no others.
    mirrored[:, 1::2] *= -1
    return np.array([_bits(frequencies), _bits(mirrored)], dtype=np.uint64)


def _bits(frequencies: NDArray[np.float32]) -> int:
    above = frequencies.ravel() > np.median(frequencies)
    return int.from_bytes(np.packbits(above).tobytes(), "big")
