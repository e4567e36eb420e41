"""What lies in a photo's file, walked before a decoder sees the file: segments, scans, chunks, blocks and directories.

A decoder spends time and memory on parts that hold no pixels. Their number, not the file's size, decides the cost.
"""

from collections.abc import Callable

from roadclear.images.structure.avif import walk_avif, walk_heif
from roadclear.images.structure.budget import Structure
from roadclear.images.structure.gif import walk_gif
from roadclear.images.structure.jpeg import walk_jpeg
from roadclear.images.structure.png import walk_png
from roadclear.images.structure.ppm import walk_ppm
from roadclear.images.structure.tiff import walk_tiff
from roadclear.images.structure.webp import walk_webp

__all__ = ["Structure", "walk"]

_WALKS: dict[str, Callable[[bytes], Structure]] = {
    "JPEG": walk_jpeg,
    "PNG": walk_png,
    "WEBP": walk_webp,
    "AVIF": walk_avif,
    "HEIF": walk_heif,
    "TIFF": walk_tiff,
    "GIF": walk_gif,
    "PPM": walk_ppm,
}


def walk(format_name: str, data: bytes) -> Structure:
    """Walk through a file without decoding, and refuse a file whose parts would cost too much.

    A walk ends quietly where the file breaks off or is damaged: the decoder says what is wrong.

    Args:
        format_name: format of the file, a key of `roadclear.images.decode.PHOTO_FORMATS`.
        data: content of the file.

    Raises:
        PhotoError: the file has more parts of a kind than `roadclear.images.limits` allows.
    """
    walker = _WALKS.get(format_name)
    return walker(data) if walker is not None else Structure()
