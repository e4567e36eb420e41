"""Photos for benchmarks that need many, or none in particular: drawn ones, and copies with a content of their own."""

import shutil
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image


def draw_scene(seed: int, width: int, height: int) -> Image.Image:
    """Noise of all scales, as natural pictures have it: a JPEG of it is about as large as one of a street."""
    draw = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64, 128, 256):
        noise = draw.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        layers = [Image.fromarray(noise[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
        picture += np.stack(layers, axis=-1) * (40 / cells**0.4)
    return Image.fromarray(np.clip(picture + 120, 0, 255).astype(np.uint8))


def draw_photos(folder: Path, count: int, width: int = 512, height: int = 384) -> list[Path]:
    """Write JPEGs of drawn scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        draw_scene(number, width, height).save(path, quality=88)
    return paths


def multiply(originals: Sequence[Path], folder: Path, count: int) -> None:
    """Write `count` files to a folder: the originals again and again, each time with another content.

    Beyond the originals themselves, a few bytes follow the end of the picture. Decoders pass over them, but the
    content, and so the key in the feature cache, differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, original in enumerate(islice(cycle(originals), count)):
        path = folder / f"{number:06}{original.suffix}"
        shutil.copyfile(original, path)
        if number >= len(originals):
            with path.open("ab") as file:
                file.write(f"copy {number}".encode())
