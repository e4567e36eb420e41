"""Augmented views of a photo: random rotation, horizontal flip and zoom, in one affine warp.

View 0 is the plain photo. View k > 0 is a pure function of the file's SHA-256, k and the settings. No random generator
is kept, so views can be computed in any order and on any thread, cached, and repeated on another day.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from roadclear.images.resample import warp
from roadclear.images.settings import AugmentSettings

PLAIN_VIEW = 0


def view(photo: NDArray[np.uint8], sha256: str, k: int, settings: AugmentSettings) -> NDArray[np.uint8]:
    """Compute the k-th view of a photo.

    Args:
        photo: uint8 [S, S, 3], RGB.
        sha256: SHA-256 of the photo's file, in hex: the seed of its views.
        k: number of the view; 0 is the photo itself.
        settings: largest rotation and zoom, and the probability of a flip.

    Returns:
        uint8 [S, S, 3]. Areas outside a shrunken or rotated photo are filled with its mirror image.
    """
    if k == PLAIN_VIEW:
        return photo
    return warp(photo, _affine(len(photo), *_draw(sha256, k, settings)))


def _draw(sha256: str, k: int, settings: AugmentSettings) -> tuple[float, float, bool]:
    """Draw the rotation in radians, the scale and the flip from a hash, as uniform numbers."""
    digest = hashlib.sha256(f"{sha256} {k} {settings.key}".encode()).digest()
    u = np.frombuffer(digest, dtype="<u8")[:3] / 2.0**64
    rotation = math.radians(settings.rotation * (2 * u[0] - 1))
    scale = (1 + settings.zoom) ** (2 * u[1] - 1)
    return rotation, float(scale), bool(u[2] < settings.flip)


def _affine(size: int, rotation: float, scale: float, flip: bool) -> NDArray[np.float64]:
    """Build the 2x3 matrix that rotates, scales and flips about the photo's centre."""
    linear = scale * np.array([[math.cos(rotation), -math.sin(rotation)], [math.sin(rotation), math.cos(rotation)]])
    if flip:
        linear = linear @ np.diag([-1.0, 1.0])
    centre = np.full(2, (size - 1) / 2)
    return np.column_stack([linear, centre - linear @ centre])
