"""Seeded views of a photo: random rotation, horizontal flip and zoom, in one affine warp.

View 0 is the plain photo. View k > 0 is a pure function of (the file's SHA-256, k, policy): no generator is
carried along, so a view can be computed in any order, on any thread, cached, and repeated on another day.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OptionError

PLAIN_VIEW = 0


@dataclass(frozen=True)
class AugmentationPolicy:
    """How far a view may differ from the plain photo.

    Attributes:
        rotation: largest rotation either way, in degrees, 0 to 180.
        zoom: largest zoom either way, as a share, 0 (inclusive) to 1 (exclusive): 0.2 draws a scale between
            1/1.2 (the photo shrinks, its border is mirrored) and 1.2 (the photo's edges leave the frame).
        flip: probability of a horizontal flip, 0 to 1.

    Raises:
        OptionError: a value is out of its range.
    """

    rotation: float = 5.0
    zoom: float = 0.1
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name, value, valid, expected in (
            ("rotation", self.rotation, 0 <= self.rotation <= 180, "between 0 and 180 degrees"),
            ("zoom", self.zoom, 0 <= self.zoom < 1, "at least 0 and below 1"),
            ("flip", self.flip, 0 <= self.flip <= 1, "a probability between 0 and 1"),
        ):
            if not valid:
                raise OptionError(f"{name} must be {expected}, got {value}")

    @property
    def key(self) -> str:
        """Text that is equal for equal policies, for the feature cache."""
        return f"rotation={self.rotation:g},zoom={self.zoom:g},flip={self.flip:g}"


def view(photo: NDArray[np.uint8], sha256: str, k: int, policy: AugmentationPolicy) -> NDArray[np.uint8]:
    """The k-th view of a photo.

    Args:
        photo: uint8 [S, S, 3].
        sha256: of the photo's file, in hex: the seed of its views.
        k: the number of the view; 0 is the photo itself.
        policy: how far the view may differ.

    Returns:
        uint8 [S, S, 3]; what a shrunken or rotated photo leaves open is filled with its mirror image.
    """
    if k == PLAIN_VIEW:
        return photo
    import cv2

    size = photo.shape[0]
    return np.asarray(
        cv2.warpAffine(
            photo,
            _affine(size, *_draw(sha256, k, policy)),
            (size, size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.uint8,
    )


def _draw(sha256: str, k: int, policy: AugmentationPolicy) -> tuple[float, float, bool]:
    """Rotation in radians, scale, and whether to flip: uniform numbers read off a hash."""
    digest = hashlib.sha256(f"{sha256} {k} {policy.key}".encode()).digest()
    u = np.frombuffer(digest, dtype="<u8")[:3] / 2.0**64
    rotation = math.radians(policy.rotation * (2 * u[0] - 1))
    scale = (1 + policy.zoom) ** (2 * u[1] - 1)
    return rotation, float(scale), bool(u[2] < policy.flip)


def _affine(size: int, rotation: float, scale: float, flip: bool) -> NDArray[np.float64]:
    """The 2x3 matrix that rotates, scales and flips about the photo's centre."""
    linear = scale * np.array([[math.cos(rotation), -math.sin(rotation)], [math.sin(rotation), math.cos(rotation)]])
    if flip:
        linear = linear @ np.diag([-1.0, 1.0])
    centre = np.full(2, (size - 1) / 2)
    return np.column_stack([linear, centre - linear @ centre])
