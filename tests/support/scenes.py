"""Small drawn street scenes in two classes: a road with people on it (crossing) and the road alone (empty).

Drawn from a seed, never collected. Like enough to photos that a frozen base network tells the classes apart, and
cluttered enough that no two of them look like two pictures of one place.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SMALLEST, LARGEST = 96, 256

Colour = tuple[int, int, int]


def draw_scene(seed: int, figure: bool) -> Image.Image:
    """One scene of 96 to 256 pixels a side; equal arguments give equal pixels."""
    random = np.random.default_rng([seed, figure])
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST, 2, endpoint=True))
    image = _patches(random, width, height)
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(4, 20))):
        _draw_clutter(draw, random, width, height)
    _draw_road(draw, random, width, height)
    for _ in range(int(random.integers(2, 5)) if figure else 0):
        x, feet = width * random.uniform(0.25, 0.75), height * random.uniform(0.9, 1)
        _draw_figure(draw, x, feet, height * random.uniform(0.6, 0.9), random)
    grain = random.normal(0, random.uniform(1, 25), (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def write_scenes(root: Path, per_label: int, seed: int = 0, quality: int = 85) -> Path:
    """Write root/crossing/*.jpg and root/empty/*.jpg, so many of each, and return the root."""
    for label, figure in (("crossing", True), ("empty", False)):
        (root / label).mkdir(parents=True)
        for number in range(per_label):
            scene = draw_scene(1000 * seed + number, figure)
            scene.save(root / label / f"{label}-{number:03d}.jpg", quality=quality)
    return root


def _patches(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Soft patches of colour of all sizes, as light, walls and leaves make them."""
    total = np.zeros((height, width, 3))
    for cells in (2, 4, 8, 16, 32):
        patches = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += random.exponential() * np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def _draw_clutter(draw: ImageDraw.ImageDraw, random: np.random.Generator, width: int, height: int) -> None:
    """A wall, a tree, a roof, or a row of poles."""
    x, y = width * random.uniform(-0.2, 1), height * random.uniform(-0.2, 1)
    across, down = 2 + width * random.exponential(0.2), 2 + height * random.exponential(0.2)
    colour: Colour = tuple(int(level) for level in random.integers(0, 256, 3))  # type: ignore[assignment]
    pole = int(random.integers(1, 6))
    shapes: tuple[Callable[[], None], ...] = (
        lambda: draw.rectangle((x, y, x + across, y + down), fill=colour),
        lambda: draw.ellipse((x, y, x + across, y + down), fill=colour),
        lambda: draw.polygon([(x, y), (x + across, y), (x + across / 2, y - down)], fill=colour),
        lambda: draw.line([(x, y), (x + across / 2, y + down), (x + across, y)], fill=colour, width=pole),
    )
    shapes[int(random.integers(len(shapes)))]()


def _draw_road(draw: ImageDraw.ImageDraw, random: np.random.Generator, width: int, height: int) -> None:
    far, horizon = width * random.uniform(0, 1), height * random.uniform(0.2, 0.7)
    left, right = width * random.uniform(-0.5, 0.3), width * random.uniform(0.6, 1.5)
    grey = int(random.integers(30, 200))
    draw.polygon([(far - 2, horizon), (far + 2, horizon), (right, height), (left, height)], fill=(grey, grey, grey))


def _draw_figure(draw: ImageDraw.ImageDraw, x: float, feet: float, tall: float, random: np.random.Generator) -> None:
    """Head, coat and two legs."""
    top, head = feet - tall, tall * 0.1
    draw.ellipse((x - head, top, x + head, top + 2 * head), fill=_shade(random, (205, 165, 140)))
    coat = _shade(random, (190, 40, 50))
    draw.rectangle((x - tall * 0.16, top + 2 * head, x + tall * 0.16, top + tall * 0.6), fill=coat)
    for side in (-0.12, 0.04):
        leg = (x + side * tall, top + tall * 0.6, x + (side + 0.08) * tall, feet)
        draw.rectangle(leg, fill=_shade(random, (40, 45, 70)))


def _shade(random: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = (int(np.clip(level + random.integers(-20, 21), 0, 255)) for level in colour)
    return red, green, blue
