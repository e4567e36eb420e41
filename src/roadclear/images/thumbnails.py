"""Small pictures and names of any bytes, as pages can hold them."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify, read_bytes

_QUALITY = 70
# Decoded a little larger than shown, so that the reduction to the shown size is smooth.
_FINER = 1.4


def thumbnail(path: Path, side: int) -> str | None:
    """A data URI of a small JPEG of the whole photo in its own proportions; None for what cannot be read.

    Args:
        path: of the photo.
        side: width or height in pixels, whichever is larger, at most.
    """
    from PIL import Image

    try:
        data = read_bytes(path)
        info = identify(data)
        pixels = decode(data, round(side * _FINER))
    except PhotoError:
        return None
    scale = min(1.0, side / max(info.width, info.height))
    size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
    small = BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).save(small, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(small.getvalue()).decode()}"
