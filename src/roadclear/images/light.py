"""Changes of light, weather and camera: how the same place may look on another day, by another camera.

Source of the kinds: Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations" (arXiv:1903.12261), with brightness, contrast, fog, blur, noise and JPEG. Saturation, tint and night are
added. docs/adr/0059-light-of-views.md has the measurements.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LUMA = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in grey, ITU-R BT.601."""


def relit(photo: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw another light, weather and camera for a photo.

    Args:
        photo: uint8 [S, S, 3], RGB.
        random: generator of all random numbers.

    Returns:
        uint8 [S, S, 3].
    """
    picture = _coloured(Image.fromarray(photo), random)
    weather = random.random()
    if weather < 0.2:
        picture = _hazy(picture, random)
    elif weather < 0.4:
        picture = picture.point(_tones(1.0, 0.0, random.uniform(1.5, 3.0)))  # night
    else:
        tones = _tones(random.uniform(0.6, 1.4), random.uniform(-0.16, 0.16), random.uniform(0.6, 1.6))
        picture = picture.point(tones)
    if random.random() < 0.35:
        picture = _blurred(picture, random)
    if random.random() < 0.35:
        picture = _noisy(picture, random)
    if random.random() < 0.35:
        picture = _compressed(picture, random)
    return np.asarray(picture)


def _coloured(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Change saturation and tint. Three of ten pictures become grey."""
    saturation, tint = (0.0, np.ones(3)) if random.random() < 0.3 else (random.uniform(0.4, 1.4), _tint(random))
    mixed = tint[:, None] * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    return picture.convert("RGB", tuple(np.column_stack([mixed, np.zeros(3)]).ravel().tolist()))


def _tint(random: np.random.Generator) -> NDArray[np.float64]:
    return random.uniform(0.85, 1.15, 3)


def _tones(contrast: float, brightness: float, gamma: float) -> list[int]:
    """Make the lookup table of Pillow for the three channels."""
    value = np.clip((np.arange(256) / 255 - 0.5) * contrast + 0.5 + brightness, 0, 1)
    return [round(255 * level) for level in (value**gamma).tolist()] * 3


def _hazy(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Mix grey into the picture: most at the top, which is mostly farther away (Koschmieder 1924: air light)."""
    width, height = picture.size
    densest, nearest = random.uniform(0.3, 0.75), random.uniform(0.2, 0.8)
    rows = 255 * densest * np.linspace(1, nearest, height)
    mask = Image.fromarray(np.repeat(rows.astype(np.uint8)[:, None], width, axis=1))
    grey = round(random.uniform(170, 235))
    return Image.composite(Image.new("RGB", picture.size, (grey, grey, grey)), picture, mask)


def _blurred(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Lower the resolution to between three and seven tenths."""
    side = max(1, round(random.uniform(0.3, 0.7) * picture.width))
    small = picture.resize((side, side), Image.Resampling.BILINEAR)
    return small.resize(picture.size, Image.Resampling.BILINEAR)


def _noisy(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Add noise: grey or coloured, with a standard deviation of 2 to 16 levels."""
    values = np.asarray(picture)
    channels = 1 if random.random() < 0.5 else 3
    # The sum of two uniform numbers has a variance of a sixth.
    drawn = random.random((2, *values.shape[:2], channels), dtype=np.float32).sum(axis=0) - 1
    noise = np.sqrt(6) * random.uniform(2, 16) * drawn
    return Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8))


def _compressed(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Write and read the picture as a JPEG file of low quality."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(random.uniform(12, 60)))
    return Image.open(file).convert("RGB")
