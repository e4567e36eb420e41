"""A map of contributions laid over a photo in two colours.

Blue speaks for the negative label, vermilion for the positive one, both from Okabe and Ito's set of colours that
people with any colour vision tell apart (Color Universal Design, 2008). The photo itself is grey, so that whatever
has a colour is the map's.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEGATIVE = (0, 114, 178)
POSITIVE = (213, 94, 0)

_STRONGEST = 0.75
"""Opacity at the end of the scale: the photo is still seen through it."""

_GREYS = 48, 232
"""What black and white are drawn as: on these, both colours can still be seen."""

_LEAST_LIMIT = 0.1
"""The scale ends here or later, in logits, so that a map of next to nothing does not look like one of much."""

_MOST_STEPS = 5
_UNIT = np.array(POSITIVE, np.float32), np.array(NEGATIVE, np.float32)


def enlarge(heatmap: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map at the size of a picture, by bilinear interpolation.

    Bilinear, because it keeps the map's mean (up to rounding at the edges of pixels) and never leaves its range:
    bicubic interpolation would draw a halo of the other colour around every peak, evidence that no place gave.

    Args:
        heatmap: float32 [rows, columns], in logits.
        size: width and height in pixels.

    Returns:
        float32 [height, width], in logits a place.
    """
    return np.asarray(Image.fromarray(heatmap.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))


def scale_ticks(heatmap: NDArray[np.float32]) -> list[float]:
    """Round numbers in equal steps from -limit to limit, in logits; no place's value lies beyond."""
    largest = max(float(np.abs(heatmap).max()), _LEAST_LIMIT)
    # The shortest of the steps 1, 2 and 5 (times a power of ten) that reaches the limit soon enough.
    power = 10.0 ** math.floor(math.log10(largest / _MOST_STEPS))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit * _MOST_STEPS >= largest)
    steps = math.ceil(largest / step)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(step * k, decimals) for k in range(-steps, steps + 1)]


def lay_over(photo: Image.Image, heatmap: NDArray[np.float32], limit: float) -> Image.Image:
    """The photo in grey, and the map over it: transparent at zero, strongest at plus and minus the limit.

    Args:
        photo: RGB.
        heatmap: float32 [rows, columns] over the whole photo, in logits.
        limit: above zero, in logits.
    """
    darkest, lightest = _GREYS
    grey = darkest + (lightest - darkest) / 255 * np.asarray(photo.convert("L"), np.float32)
    return Image.fromarray(_coloured(grey, enlarge(heatmap, photo.size) / limit))


def colour_bar(width: int, height: int) -> Image.Image:
    """The colours from -limit on the left to limit on the right, over a medium grey."""
    shares = np.linspace(-1, 1, width, dtype=np.float32)[None].repeat(height, axis=0)
    return Image.fromarray(_coloured(np.full((height, width), 160, np.float32), shares))


def _coloured(grey: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey [h, w] in 0..255 under the colours of shares [h, w] in -1..1: uint8 [h, w, 3]."""
    opacity = _STRONGEST * np.minimum(np.abs(shares), 1)[..., None]
    colours = np.where((shares > 0)[..., None], *_UNIT)
    return np.rint(grey[..., None] * (1 - opacity) + colours * opacity).astype(np.uint8)
