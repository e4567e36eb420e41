"""Perceptual hashes of a photo and of its mirror image (a first version)."""

import cv2
import numpy as np
from numpy.typing import NDArray


def fingerprint(photo: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """See the module."""
    grey = cv2.resize(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    out = []
    for g in (grey, grey[:, ::-1]):
        d = cv2.dct(np.ascontiguousarray(g))[:8, :8].ravel()
        out.append(np.packbits(d > np.median(d)).view(np.uint64)[0])
    return np.array(out, dtype=np.uint64)
