"""Weather: the light of a street, the sky, and the effects of air and lens on the finished picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadscenes.chance import Chance
from roadscenes.colours import Colour, Tint, mixed, varied

Glow = tuple[float, float, float]
"""Light that shines into the camera: x, y and radius in pixels."""


@dataclass(frozen=True)
class Weather:
    """Weather and light of a street.

    Attributes:
        name: sunny, overcast, rain, fog, dusk or night.
        season: spring, summer, autumn or winter.
        ambient: share of each colour that the light reflects.
        zenith, haze: colours of the sky overhead and at the horizon.
        visibility: distance at which 63% of a colour is haze, in metres.
        shadow: darkness of shadows, 0 to 1.
        sun: direction and length of shadows, in metres (u, v) per metre of height.
        lamps: whether lamps are lit.
        grain: standard deviation of the noise, in levels of 255.
    """

    name: str
    season: str
    ambient: Tint
    zenith: Colour
    haze: Colour
    visibility: float
    shadow: float
    sun: tuple[float, float]
    lamps: bool
    grain: float


@dataclass(frozen=True)
class _Sky:
    ambient: Tint
    zeniths: tuple[Colour, ...]
    hazes: tuple[Colour, ...]
    visibility: tuple[float, float]
    shadow: float
    lamps: bool


_SKIES = {
    "sunny": _Sky(
        (1.08, 1.04, 0.96),
        ((84, 150, 214), (60, 124, 196), (120, 178, 222)),
        ((206, 226, 238), (238, 226, 200), (180, 212, 236)),
        (90, 260),
        0.42,
        False,
    ),
    "overcast": _Sky(
        (0.9, 0.92, 0.95),
        ((176, 184, 194), (140, 150, 164), (206, 206, 206)),
        ((212, 216, 220), (190, 196, 204)),
        (50, 140),
        0.15,
        False,
    ),
    "rain": _Sky(
        (0.66, 0.7, 0.77),
        ((98, 108, 124), (120, 126, 136)),
        ((150, 158, 168), (132, 142, 152)),
        (35, 80),
        0.12,
        True,
    ),
    "fog": _Sky(
        (0.92, 0.92, 0.92),
        ((206, 208, 208), (190, 196, 204)),
        ((216, 216, 214), (200, 206, 212), (222, 212, 198)),
        (12, 26),
        0.06,
        False,
    ),
    "dusk": _Sky(
        (0.86, 0.64, 0.58),
        ((74, 74, 130), (108, 84, 140), (52, 74, 126)),
        ((246, 166, 110), (236, 136, 122), (250, 196, 136)),
        (60, 140),
        0.3,
        True,
    ),
    "night": _Sky(
        (0.56, 0.58, 0.74),
        ((20, 26, 56), (32, 32, 50), (16, 34, 66)),
        ((66, 72, 108), (84, 72, 84), (46, 66, 96)),
        (50, 120),
        0.2,
        True,
    ),
}
_NAMES = ("sunny", "sunny", "sunny", "overcast", "overcast", "rain", "fog", "dusk", "dusk", "night")
_LAMP_COLOUR = np.array([255, 214, 140], dtype=np.float32)
_NOISE_CELLS = ((1, 0.8), (4, 0.55), (14, 0.5))


def draw_weather(chance: Chance) -> Weather:
    """Draw a weather at random."""
    name = chance.pick(_NAMES)
    sky = _SKIES[name]
    direction = chance.between(0, 2 * math.pi)
    length = chance.between(0.25, 1.2)
    return Weather(
        name=name,
        season=chance.pick(("spring", "summer", "summer", "autumn", "winter")),
        ambient=_warmer(sky.ambient, chance.between(-0.07, 0.07), chance.between(0.9, 1.1)),
        zenith=varied(chance.pick(sky.zeniths), chance),
        haze=varied(chance.pick(sky.hazes), chance),
        visibility=chance.between(*sky.visibility),
        shadow=sky.shadow,
        sun=(length * math.cos(direction), length * math.sin(direction)),
        lamps=sky.lamps,
        grain=chance.between(2, 9),
    )


def sky_picture(weather: Weather, width: int, height: int, horizon: float) -> Image.Image:
    """Draw the sky: from the zenith's colour to the haze at the horizon, and haze below."""
    steps = 24
    column = Image.new("RGB", (1, steps))
    for step in range(steps):
        share = min(1.0, step / (steps - 1) / max(horizon, 0.05))
        column.putpixel((0, step), mixed(weather.zenith, weather.haze, share**1.4))
    return column.resize((width, height), Image.Resampling.BILINEAR)


def finished(
    image: Image.Image, weather: Weather, glows: Sequence[Glow], chance: Chance, noise_key: int
) -> Image.Image:
    """Add the glow of lamps, rain, grain and a vignette to a picture.

    Args:
        image: RGB picture of the final size.
        weather: weather, which decides rain and grain.
        glows: lights that shine into the camera.
        chance: random numbers of the rain.
        noise_key: random seed of the grain.
    """
    levels = np.asarray(image, dtype=np.float32)
    height, width = levels.shape[:2]
    generator = np.random.default_rng(noise_key)
    for x, y, radius in glows:
        levels = _with_glow(levels, x, y, radius)
    if weather.name == "rain":
        levels = _with_rain(levels, chance, generator)
    texture = sum(_noise(generator, width, height, cells) * share for cells, share in _NOISE_CELLS)
    levels = levels + np.float32(weather.grain) * np.asarray(texture, dtype=np.float32)[..., None]
    return Image.fromarray(np.clip(levels * _vignette(width, height), 0, 255).astype(np.uint8))


def _warmer(tint: Tint, warmth: float, brightness: float) -> Tint:
    red, green, blue = tint
    return (red + warmth) * brightness, green * brightness, (blue - warmth) * brightness


def _noise(generator: np.random.Generator, width: int, height: int, cell: int) -> NDArray[np.float32]:
    coarse = generator.standard_normal((-(-height // cell), -(-width // cell)), dtype=np.float32)
    if cell == 1:
        return coarse
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(smooth, dtype=np.float32)


def _with_glow(levels: NDArray[np.float32], x: float, y: float, radius: float) -> NDArray[np.float32]:
    height, width = levels.shape[:2]
    left, right = max(0, int(x - 2.5 * radius)), min(width, int(x + 2.5 * radius) + 1)
    top, bottom = max(0, int(y - 2.5 * radius)), min(height, int(y + 2.5 * radius) + 1)
    if left >= right or top >= bottom:
        return levels
    across = np.exp(-(((np.arange(left, right, dtype=np.float32) - x) / radius) ** 2))
    down = np.exp(-(((np.arange(top, bottom, dtype=np.float32) - y) / radius) ** 2))
    light = 0.6 * np.outer(down, across)[..., None]
    result = levels.copy()
    inside = result[top:bottom, left:right]
    result[top:bottom, left:right] = inside + (_LAMP_COLOUR - inside) * light
    return result


def _with_rain(levels: NDArray[np.float32], chance: Chance, generator: np.random.Generator) -> NDArray[np.float32]:
    """Add streaks: noise, smeared along the rain's direction."""
    height, width = levels.shape[:2]
    drops = (generator.random((height, width), dtype=np.float32) > 0.995).astype(np.float32)
    length, slant = chance.whole(7, 13), chance.between(-0.35, 0.35)
    before = length // 2
    around = np.pad(drops, (before, length - before), mode="reflect")
    streaks = np.zeros_like(drops)
    for step in range(length):
        column = int(length / 2 + slant * (step - length / 2))
        streaks += around[step : step + height, column : column + width]
    brightness = chance.between(22, 44)
    return np.asarray(levels + brightness * np.minimum(streaks, 1)[..., None], dtype=np.float32)


def _vignette(width: int, height: int) -> NDArray[np.float32]:
    across = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32) ** 2
    return np.asarray(1 - 0.06 * (across[None, :, None] + down[:, None, None]), dtype=np.float32)
