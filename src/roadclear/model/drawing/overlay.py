"""Heatmap over a photo in two colours.

Blue is evidence for the negative label, vermilion for the positive label. Both are from Okabe and Ito's palette, whose
colours differ for people with any colour vision (Color Universal Design, 2008). The photo is grey, so every colour
belongs to the heatmap.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEGATIVE = (0, 114, 178)
POSITIVE = (213, 94, 0)

_STRONGEST = 0.75
"""Opacity at the end of the scale, at which the photo stays visible."""

_GREYS = 48, 232
"""Grey levels of black and white, on which both colours stay visible."""

_LEAST_LIMIT = 0.1
"""Least end of the scale in logits, so that a heatmap of tiny values stays pale."""

_MOST_STEPS = 5
_UNIT = np.array(POSITIVE, np.float32), np.array(NEGATIVE, np.float32)


def enlarge(heatmap: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarge a heatmap to the size of a picture, by bilinear interpolation.

    Bilinear interpolation keeps the heatmap's mean (up to rounding at the edges of pixels) and range. Bicubic
    interpolation would draw a halo of the other colour around every peak: evidence that no cell gave.

    Args:
        heatmap: float32 [rows, columns], in logits.
        size: width and height in pixels.

    Returns:
        float32 [height, width], in logits per cell.
    """
    return np.asarray(Image.fromarray(heatmap.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def scale_ticks(heatmap: NDArray[np.float32]) -> list[float]:
    """Compute round numbers in equal steps from -limit to limit, in logits. No cell's value lies beyond."""
    largest = max(float(np.abs(heatmap).max()), _LEAST_LIMIT)
    # The shortest of the steps 1, 2 and 5 (times a power of ten) that reaches the largest value in five steps.
    power = 10.0 ** math.floor(math.log10(largest / _MOST_STEPS))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit * _MOST_STEPS >= largest)
    steps = math.ceil(largest / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(step * k, decimals) for k in range(-steps, steps + 1)]


def lay_over(photo: Image.Image, heatmap: NDArray[np.float32], limit: float) -> Image.Image:
    """Draw a heatmap over the grey photo: transparent at zero, strongest at plus and minus the limit.

    Args:
        photo: photo, RGB.
        heatmap: heatmap of the whole photo, float32 [rows, columns], in logits.
        limit: end of the scale in logits, above zero.

    Returns:
        RGB picture of the photo's size.
    """
    darkest, lightest = _GREYS
    grey = darkest + (lightest - darkest) / 255 * np.asarray(photo.convert("L"), np.float32)
    return Image.fromarray(_coloured(grey, enlarge(heatmap, photo.size) / limit))


def colour_bar(width: int, height: int) -> Image.Image:
    """Draw the colours from -limit on the left to limit on the right, over a medium grey."""
    shares = np.linspace(-1, 1, width, dtype=np.float32)[None].repeat(height, axis=0)
    return Image.fromarray(_coloured(np.full((height, width), 160, np.float32), shares))


def _coloured(grey: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend grey levels [h, w] from 0 to 255 with the colours of shares [h, w] from -1 to 1: uint8 [h, w, 3]."""
    opacity = _STRONGEST * np.minimum(np.abs(shares), 1)[..., None]
    colours = np.where((shares > 0)[..., None], *_UNIT)
    return np.rint(grey[..., None] * (1 - opacity) + colours * opacity).astype(np.uint8)
