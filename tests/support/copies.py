"""Changed copies of a photo, as the web and photo editors make them."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.images.decode import decode

SIZE = 224


def soft_pattern(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A drawn photo: soft fields of colour with structure at several scales, unlike that of any other seed."""
    random = np.random.default_rng(seed)
    layers = [random.uniform(0, 255, (cells, cells, 3)).astype(np.uint8) for cells in (3, 6, 12)]
    images = [Image.fromarray(layer).resize((width, height), Image.Resampling.BICUBIC) for layer in layers]
    return Image.blend(Image.blend(images[0], images[1], 0.5), images[2], 0.33)


def gamma(photo: Image.Image, exponent: float) -> Image.Image:
    return photo.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)


def crop(photo: Image.Image, x: float, y: float) -> Image.Image:
    """A tenth of the width and height less, taken off at the left and top by the shares x and y of it."""
    left, top = photo.width * x / 10, photo.height * y / 10
    return photo.crop((round(left), round(top), round(left + photo.width * 0.9), round(top + photo.height * 0.9)))


def border(photo: Image.Image) -> Image.Image:
    x, y = round(photo.width / 20), round(photo.height / 20)
    framed = Image.new("RGB", (photo.width + 2 * x, photo.height + 2 * y))
    framed.paste(photo, (x, y))
    return framed


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda photo: photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS),
    "squeezed": lambda photo: photo.resize((200, 200), Image.Resampling.LANCZOS),
    "grey": lambda photo: photo.convert("L").convert("RGB"),
    "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "lighter": lambda photo: gamma(photo, 0.6),
    "darker": lambda photo: gamma(photo, 1.6),
    "cropped": lambda photo: crop(photo, 0.5, 0.5),
    "cropped in a corner": lambda photo: crop(photo, 0, 0),
    "rotated": lambda photo: photo.rotate(3, Image.Resampling.BICUBIC),
    "bordered": border,
}
"""Name -> change of an RGB image."""


def as_read(photo: Image.Image, quality: int = 88) -> NDArray[np.uint8]:
    """A photo after it was saved as JPEG and read back as the product reads photos: uint8 [224, 224, 3]."""
    buffer = BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return decode(buffer.getvalue(), SIZE)
