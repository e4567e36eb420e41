"""Small drawn street scenes in two classes: a road with a figure on it (crossing) and the road alone (empty).

Drawn from a seed, never collected; like enough to photos that a frozen base network tells the classes apart.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SMALLEST, LARGEST = 96, 256


def draw_scene(seed: int, figure: bool) -> Image.Image:
    """One scene of 96 to 256 pixels a side; equal arguments give equal pixels."""
    random = np.random.default_rng([seed, figure])
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST, 2, endpoint=True))
    horizon = int(height * random.uniform(0.3, 0.5))
    image = Image.new("RGB", (width, height), _shade(random, (150, 185, 225)))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, horizon, width, height), fill=_shade(random, (95, 130, 80)))
    road = _shade(random, (110, 110, 115))
    draw.polygon([(width * 0.42, horizon), (width * 0.58, horizon), (width, height), (0, height)], fill=road)
    for stripe in np.linspace(0.1, 0.9, 5):
        x = width * stripe
        draw.rectangle((x, height * 0.8, x + width * 0.08, height * 0.92), fill=_shade(random, (225, 225, 220)))
    if figure:
        _draw_figure(draw, width * random.uniform(0.3, 0.7), height * 0.9, height * random.uniform(0.35, 0.5), random)
    grain = random.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def write_scenes(root: Path, per_label: int, seed: int = 0, quality: int = 85) -> Path:
    """Write root/crossing/*.jpg and root/empty/*.jpg, so many of each, and return the root."""
    for label, figure in (("crossing", True), ("empty", False)):
        (root / label).mkdir(parents=True)
        for number in range(per_label):
            scene = draw_scene(1000 * seed + number, figure)
            scene.save(root / label / f"{label}-{number:03d}.jpg", quality=quality)
    return root


def _draw_figure(draw: ImageDraw.ImageDraw, x: float, feet: float, tall: float, random: np.random.Generator) -> None:
    """Head, coat and two legs."""
    top, head = feet - tall, tall * 0.08
    draw.ellipse((x - head, top, x + head, top + 2 * head), fill=_shade(random, (205, 165, 140)))
    coat = _shade(random, (190, 40, 50))
    draw.rectangle((x - tall * 0.12, top + 2 * head, x + tall * 0.12, top + tall * 0.6), fill=coat)
    for side in (-0.09, 0.03):
        leg = (x + side * tall, top + tall * 0.6, x + (side + 0.06) * tall, feet)
        draw.rectangle(leg, fill=_shade(random, (40, 45, 70)))


def _shade(random: np.random.Generator, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (int(np.clip(level + random.integers(-20, 21), 0, 255)) for level in colour)
    return red, green, blue
