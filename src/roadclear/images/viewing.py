"""A photo as people look at it: upright, in its own proportions, at a size for the screen."""

import os

from PIL import Image

from roadclear.images.decode import decode, identify, read_bytes

SIDE = 640
_MAX_ASPECT = 8


def view_photo(path: str | os.PathLike[str], side: int = SIDE) -> Image.Image:
    """Read a photo for the screen, with the guards and within the memory of `roadclear.images.decode.decode`.

    Args:
        path: of the photo.
        side: width or height of the result in pixels, whichever is larger; small photos are enlarged.

    Returns:
        RGB, upright; proportions beyond 8 to 1 are drawn as 8 to 1, so that a line of pixels can be seen.

    Raises:
        PhotoError: it cannot be used.
    """
    data = read_bytes(path)
    info = identify(data)
    pixels = decode(data, side)
    return Image.fromarray(pixels).resize(_viewed_size(info.width, info.height, side), Image.Resampling.BILINEAR)


def at_size(photo: Image.Image, side: int) -> Image.Image:
    """A picture enlarged or shrunk as `view_photo` does."""
    size = _viewed_size(photo.width, photo.height, side)
    return photo if photo.size == size else photo.resize(size, Image.Resampling.BILINEAR)


def _viewed_size(width: int, height: int, side: int) -> tuple[int, int]:
    scale = side / max(width, height)
    least = side // _MAX_ASPECT
    return max(round(width * scale), least), max(round(height * scale), least)
