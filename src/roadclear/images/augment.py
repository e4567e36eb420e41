"""Augmented views of a photo: random rotation, horizontal flip and zoom in one affine warp, and changes of light.

View 0 is the plain photo. View k > 0 is a pure function of the file's SHA-256, k and the settings. No random generator
is kept, so views can be computed in any order and on any thread, cached, and repeated on another day.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.images.light import relit
from roadclear.images.settings import AugmentSettings

PLAIN_VIEW = 0


def view(photo: NDArray[np.uint8], sha256: str, k: int, settings: AugmentSettings) -> NDArray[np.uint8]:
    """Compute the k-th view of a photo, with bilinear values between pixels.

    Args:
        photo: uint8 [S, S, 3], RGB.
        sha256: SHA-256 of the photo's file, in hex: the seed of its views.
        k: number of the view; 0 is the photo itself.
        settings: largest rotation and zoom, and the probabilities of a flip and of another light.

    Returns:
        uint8 [S, S, 3]. Areas outside a shrunken or rotated photo are filled with its mirror image. Values are rounded
        down to whole levels.
    """
    if k == PLAIN_VIEW:
        return photo
    drawn = np.frombuffer(hashlib.sha256(f"{sha256} {k} {settings.key}".encode()).digest(), dtype="<u8")
    warped = _warped(photo, _source(*_draw(drawn / 2.0**64, settings)))
    is_relit = drawn[3] / 2.0**64 < settings.light
    return relit(warped, np.random.default_rng(drawn)) if is_relit else warped


def _draw(u: NDArray[np.float64], settings: AugmentSettings) -> tuple[float, float, bool]:
    """Draw the rotation in radians, the scale and the flip from uniform numbers."""
    rotation = math.radians(settings.rotation * (2 * u[0] - 1))
    scale = (1 + settings.zoom) ** (2 * u[1] - 1)
    return rotation, float(scale), bool(u[2] < settings.flip)


def _source(rotation: float, scale: float, flip: bool) -> tuple[float, float, float, float]:
    """Build the 2x2 matrix that maps a point of the view to its point in the photo, both measured from the centre.

    A flipped view shows the photo mirrored left to right, then rotated and scaled.
    """
    cosine, sine = math.cos(rotation) / scale, math.sin(rotation) / scale
    return (-cosine, -sine, -sine, cosine) if flip else (cosine, sine, -sine, cosine)


def _warped(photo: NDArray[np.uint8], source: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Warp a photo [S, S, 3] about its centre by the inverse of `source`."""
    size = len(photo)
    a, b, c, d = source
    # How far the view's outermost pixel centres reach beyond the photo's, and one pixel for its neighbour.
    reach = (size - 1) / 2 * (max(abs(a) + abs(b), abs(c) + abs(d)) - 1)
    border = max(math.ceil(reach), 0) + 1
    mirrored = np.pad(photo, ((border, border), (border, border), (0, 0)), mode="reflect")
    middle = size / 2 + border
    matrix = (a, b, middle - (a + b) * size / 2, c, d, middle - (c + d) * size / 2)
    picture = Image.fromarray(mirrored)
    return np.asarray(picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))
