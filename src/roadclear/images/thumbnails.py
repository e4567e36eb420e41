"""Photos as people look at them: upright, in their own proportions, at a size for the screen or a page."""

import os
from base64 import b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify, read_bytes
from roadclear.images.photo import load_photo

SIDE = 640
"""Longer side of a photo on the screen, in pixels."""

_MAX_ASPECT = 8
_QUALITY = 70
# Thumbnails are decoded a little larger than shown, so that the reduction to the shown size is smooth.
_FINER = 1.4


def view_photo(photo: str | os.PathLike[str] | bytes | Image.Image, side: int = SIDE) -> Image.Image:
    """Read a photo for the screen, with the guards and within the memory of `roadclear.images.decode.decode`.

    Args:
        photo: path of the file, its bytes, or a PIL image.
        side: longer side of the result in pixels. Small photos are enlarged.

    Returns:
        RGB, upright. Proportions beyond 8 to 1 are drawn as 8 to 1, so that a line of pixels can be seen.

    Raises:
        PhotoError: the photo cannot be used.
    """
    if isinstance(photo, Image.Image):
        return at_size(Image.fromarray(load_photo(photo)), side)
    data = photo if isinstance(photo, bytes) else read_bytes(photo)
    info = identify(data)
    pixels = decode(data, side)
    return Image.fromarray(pixels).resize(_viewed_size(info.width, info.height, side), Image.Resampling.BILINEAR)


def at_size(photo: Image.Image, side: int) -> Image.Image:
    """Enlarge or shrink a picture as `view_photo` does."""
    size = _viewed_size(photo.width, photo.height, side)
    return photo if photo.size == size else photo.resize(size, Image.Resampling.BILINEAR)


def thumbnail(path: Path, side: int) -> str | None:
    """Make a small JPEG of the whole photo as a data URI. The photo keeps its proportions.

    Args:
        path: file of the photo.
        side: longer side of the thumbnail in pixels. Small photos are not enlarged.

    Returns:
        The data URI, or None where the photo cannot be read.
    """
    try:
        data = read_bytes(path)
        info = identify(data)
        pixels = decode(data, round(side * _FINER))
    except PhotoError:
        return None
    scale = min(1.0, side / max(info.width, info.height))
    size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    return data_uri(jpeg_bytes(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), _QUALITY))


def jpeg_bytes(picture: Image.Image, quality: int, sharp_colour: bool = False) -> bytes:
    """Encode a picture as JPEG.

    Args:
        picture: RGB.
        quality: 1 to 95, as Pillow counts it.
        sharp_colour: whether colour has the full resolution, as a picture needs whose colours have a meaning.
    """
    data = BytesIO()
    picture.save(data, "JPEG", quality=quality, **({"subsampling": 0} if sharp_colour else {}))
    return data.getvalue()


def data_uri(jpeg: bytes) -> str:
    """Return a data URI of a JPEG, for a page that loads nothing."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def _viewed_size(width: int, height: int, side: int) -> tuple[int, int]:
    scale = side / max(width, height)
    least = side // _MAX_ASPECT
    return max(round(width * scale), least), max(round(height * scale), least)
