"""Resampling of 8-bit photos in NumPy: grey values, squares of area means, and bilinear warps.

The results are those of OpenCV 5, which is not imported: its usual package needs graphics libraries of the system that
servers and containers lack. Fixed-point weights, single precision and rounding follow OpenCV. Grey values, warps and
enlarged squares are equal to the last bit. In reduced squares at most one value in 400 differs, by 1: sums that end in
one half are rounded to the even number. At exactly half the size OpenCV rounds them up.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.utils.arrays import Floats, Indices

Pixels = NDArray[np.uint8]

# Luma of ITU-R BT.601, in units of 2**-15.
_LUMA = (9798, 19235, 3735)
# Fractions of a pixel below this limit do not count towards an area mean.
_LEAST_SHARE = 1e-3
# Bilinear weights are whole numbers of this unit.
_WEIGHT = 2048


def grey(photo: Pixels) -> Pixels:
    """Return the grey values, uint8 [height, width], of an RGB photo, uint8 [height, width, 3]."""
    red, green, blue = (photo[..., k].astype(np.int32) * _LUMA[k] for k in range(3))
    return ((red + green + blue + (1 << 14)) >> 15).astype(np.uint8)


def square(photo: Pixels, size: int) -> Pixels:
    """Squash a photo to a square of area means. A photo with a shorter side is enlarged.

    Args:
        photo: uint8 [height, width, 3].
        size: side of the square in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    if min(photo.shape[:2]) < size:
        return _enlarged(photo, size)
    down = _area_means(photo, size)
    across = _area_means(np.ascontiguousarray(down.transpose(1, 0, 2)), size)
    return np.rint(across.transpose(1, 0, 2).astype(np.float32)).astype(np.uint8)


def warp(photo: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    """Move the points of a square photo by an affine map. Values between pixels are bilinear.

    Args:
        photo: uint8 [S, S, 3].
        matrix: [2, 3], maps a point (x, y, 1) of the photo to its point (x, y) in the result. It can be inverted.

    Returns:
        uint8 [S, S, 3]. Areas outside the photo are filled with its mirror image.
    """
    size = len(photo)
    (columns, right), (rows, below) = (_places(size, *line) for line in _inverse(matrix))
    near_x, far_x = _mirrored(columns, size), _mirrored(columns + 1, size)
    near_y, far_y = _mirrored(rows, size) * size, _mirrored(rows + 1, size) * size
    # One look-up of four bytes is faster than three of one byte.
    packed = np.zeros((size, size, 4), dtype=np.uint8)
    packed[..., :3] = photo
    flat = packed.view(np.uint32).ravel()

    def values(places: Indices) -> NDArray[np.float32]:
        return flat.take(places).view(np.uint8).reshape(size, size, 4)[..., :3].astype(np.float32)

    upper = _between(values(near_y + near_x), values(near_y + far_x), right)
    lower = _between(values(far_y + near_x), values(far_y + far_x), right)
    return np.rint(_between(upper, lower, below)).astype(np.uint8)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Invert an affine map [2, 3], in double precision."""
    (a, b, x), (c, d, y) = matrix
    scale = 1.0 / (a * d - b * c)
    a, b, c, d = d * scale, -b * scale, -c * scale, a * scale
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]], dtype=np.float32)


def _places(size: int, across: np.float32, down: np.float32, start: np.float32) -> tuple[Indices, Floats]:
    """One coordinate of the point that each pixel comes from: whole part [S, S] and fraction [S, S, 1]."""
    line = np.arange(size, dtype=np.float32)
    place = (line.astype(np.float64) * across + (line * down + start)[:, np.newaxis]).astype(np.float32)
    whole = np.floor(place)
    return whole.astype(np.intp), (place - whole)[..., np.newaxis].astype(np.float64)


def _between(near: NDArray[np.float32], far: NDArray[np.float32], share: Floats) -> NDArray[np.float32]:
    """Values at a share of the way, with one rounding for product and sum, as processors do (fused multiply-add)."""
    step = np.multiply(far - near, share)  # in double precision, where products are exact
    step += near
    return np.asarray(step, dtype=np.float32)


def _mirrored(places: Indices, size: int) -> Indices:
    """Reflect places outside the photo about the centre of its first or last pixel."""
    if size == 1:
        return np.zeros_like(places)
    folded = np.abs(places) % (2 * size - 2)
    return np.asarray(np.minimum(folded, 2 * size - 2 - folded))


def _area_means(values: NDArray[Any], size: int) -> Floats:
    """Reduce the first axis to means of stretches of equal length. Pixels at their ends count by their share."""
    length = len(values)
    scale = 1 / (size / length)
    start = np.arange(size) * scale
    stop = start + scale
    last = np.minimum(np.floor(stop).astype(np.intp), length - 1)
    first = np.minimum(np.ceil(start).astype(np.intp), last)
    # Whole pixels are those from `first` to before `last`; `reduceat` has no sum of none.
    whole = np.add.reduceat(values, np.stack([first, last], axis=1).ravel(), axis=0, dtype=_exact(values))[::2]
    sums = whole.astype(np.float64)
    sums[first == last] = 0
    shape = (-1, *(1 for _ in values.shape[1:]))
    sums += values[np.maximum(first - 1, 0)] * _share(first - start).reshape(shape)
    sums += values[last] * np.minimum(_share(stop - last), 1).reshape(shape)
    return np.asarray(sums / np.minimum(scale, length - start).reshape(shape))


def _exact(values: NDArray[Any]) -> type[np.generic]:
    """A type that holds sums of the values."""
    return np.uint32 if values.dtype == np.uint8 else np.float64


def _share(part: Floats) -> Floats:
    return np.where(part > _LEAST_SHARE, part, 0)


def _enlarged(photo: Pixels, size: int) -> Pixels:
    """Resample both axes with two weights a pixel, in whole numbers."""
    left, right, near_x, far_x = _weights(photo.shape[1], size)
    upper, lower, near_y, far_y = _weights(photo.shape[0], size)
    values = photo.astype(np.int32)
    rows = (values[:, left] * near_x[:, np.newaxis] + values[:, right] * far_x[:, np.newaxis]) >> 4
    near, far = near_y[:, np.newaxis, np.newaxis], far_y[:, np.newaxis, np.newaxis]
    return ((((near * rows[upper]) >> 16) + ((far * rows[lower]) >> 16) + 2) >> 2).astype(np.uint8)


def _weights(length: int, size: int) -> tuple[Indices, Indices, NDArray[np.int32], NDArray[np.int32]]:
    """For each of `size` pixels: two neighbours among `length` pixels, and their weights."""
    ratio = size / length
    pixel = np.arange(size)
    near = np.minimum(np.floor(pixel * (1 / ratio)).astype(np.intp), length - 1)
    over = ((pixel + 1) - (near + 1) * ratio).astype(np.float32)
    share = np.where((over > 0) & (near < length - 1), over - np.floor(over), np.float32(0))
    weights = (np.rint(part * np.float32(_WEIGHT)).astype(np.int32) for part in (np.float32(1) - share, share))
    return near, np.minimum(near + 1, length - 1), *weights
