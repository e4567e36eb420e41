"""Seeded views of a photo: random rotation, horizontal flip and zoom, in one affine warp.

View 0 is the plain photo. View k > 0 is a pure function of (the file's SHA-256, k, policy): no generator is
carried along, so a view can be computed in any order, on any thread, cached, and repeated on another day.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadclear.utils.settings import Setting, Settings

PLAIN_VIEW = 0


@dataclass(kw_only=True)
class AugmentSettings(Settings):
    """How many augmented views a training photo has, and how far a view may differ from the plain photo."""

    panel: ClassVar[str] = "Augmentation"

    views: Annotated[int, Setting("Augmented views per training photo.", ge=0, le=64)] = 1
    rotation: Annotated[
        float, Setting("Maximum rotation of a view either way, in degrees.", ge=0, le=180, unit="degrees")
    ] = 5.0
    zoom: Annotated[float, Setting("Maximum zoom of a view. 0.2 draws a scale between 1/1.2 and 1.2.", ge=0, lt=1)] = (
        0.1
    )
    flip: Annotated[float, Setting("Probability that a view is mirrored.", ge=0, le=1)] = 0.5

    @property
    def key(self) -> str:
        """Text that is equal for equal kinds of views, for the feature cache. The number of views is not part of it."""
        return f"rotation={self.rotation:g},zoom={self.zoom:g},flip={self.flip:g}"


def view(photo: NDArray[np.uint8], sha256: str, k: int, policy: AugmentSettings) -> NDArray[np.uint8]:
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


def _draw(sha256: str, k: int, policy: AugmentSettings) -> tuple[float, float, bool]:
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
