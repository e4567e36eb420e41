"""What Python users may give as a photo: a path, bytes, a file object, an array or a PIL image.

A photo of each kind becomes the same pixels as a file of the same content.
"""

import os
from collections.abc import Iterable
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, photo_errors, read_photo
from roadclear.images.limits import MAX_FILE_BYTES
from roadclear.images.pixels import upright_pixels

Photo: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | NDArray[np.uint8] | Image.Image
"""What a photo may be given as: a path, the content of a file, a file opened for reading bytes, RGB pixels
[height, width, 3], or a Pillow image."""

HeldPhoto: TypeAlias = Path | bytes | Image.Image
"""A photo that its owner can no longer change: a path, the content of a file, or loaded pixels."""

_KINDS = "a path, bytes, a file opened in binary mode, a PIL image or a uint8 array [height, width, 3]"
_CHUNK_BYTES = 2**20


def load_photo(photo: Photo, size: int | None = None) -> NDArray[np.uint8]:
    """Turn a photo of any kind into upright RGB pixels, as `decode` does.

    Pixels of an array or a PIL image give the same result as a lossless file of the same pixels. A PIL image is
    turned upright by its Exif tag and laid on white where it is transparent. Pillow's own limits apply to an image
    that Pillow opened.

    Args:
        photo: a path, the bytes of a file, a file object opened in binary mode, a PIL image, or a uint8 RGB array
            [height, width, 3]. A file object is read from its start where it can be rewound.
        size: width and height of the result in pixels, or None for the photo's own.

    Returns:
        uint8 RGB in 0..255, [size, size, 3], or [height, width, 3] without `size`; writable.

    Raises:
        PhotoError: the photo cannot be read, is not in one of `PHOTO_FORMATS`, or is broken or too large.
        TypeError: the object is of another kind, or the array has another type than uint8.
        ValueError: the array has another shape.

    Example:
        >>> load_photo(np.zeros((480, 640, 3), np.uint8), size=224).shape
        (224, 224, 3)
    """
    return held_pixels(hold_photo(photo), size)


def hold_photo(photo: Photo) -> HeldPhoto:
    """Take a photo as it is now: its owner may then fill an array anew or close a file.

    Args:
        photo: see `load_photo`.

    Returns:
        The path, which is not read yet; the bytes; or a loaded copy of the pixels.

    Raises:
        PhotoError: a file object or a PIL image cannot be read.
        TypeError, ValueError: see `load_photo`.
    """
    if isinstance(photo, str | os.PathLike):
        return Path(photo)
    if isinstance(photo, bytes | bytearray | memoryview):
        return bytes(photo)
    if isinstance(photo, np.ndarray):
        _check_array(photo)
        return Image.fromarray(np.ascontiguousarray(photo))
    if isinstance(photo, Image.Image):
        with photo_errors(photo.format or "PIL"):
            return photo.copy()
    if isinstance(photo, TextIOBase):
        raise TypeError(f"expected {_KINDS}, got a file opened in text mode: open it with mode 'rb'")
    if callable(getattr(photo, "read", None)):
        return _read_stream(photo)
    raise TypeError(f"expected {_KINDS}, got {type(photo).__name__}: give one photo in one of these forms")


def hold_or_error(photo: Photo) -> HeldPhoto | PhotoError:
    """`hold_photo`, with the error of a photo that cannot be used in the photo's place.

    Raises:
        TypeError, ValueError: see `load_photo`.
    """
    try:
        return hold_photo(photo)
    except PhotoError as error:
        return error


def held_pixels(photo: HeldPhoto, size: int | None = None) -> NDArray[np.uint8]:
    """`load_photo` of a photo that is held.

    Raises:
        PhotoError: see `load_photo`.
    """
    if isinstance(photo, Image.Image):
        with photo_errors("PIL"):
            return upright_pixels([photo], size)
    return decode(photo, size) if isinstance(photo, bytes) else read_photo(photo, size)


def png_bytes(photo: Image.Image) -> bytes:
    """Encode held pixels as a PNG, from which `decode` gives the same pixels as `held_pixels` of the picture.

    Raises:
        PhotoError: see `load_photo`.
    """
    data = BytesIO()
    Image.fromarray(held_pixels(photo)).save(data, "PNG", compress_level=1)
    return data.getvalue()


def check_photo_list(photos: object) -> None:
    """Refuse one photo where several are expected: Python would go through its letters, bytes or rows.

    Raises:
        TypeError: `photos` is one photo, or nothing that can be gone through.
        ValueError: `photos` is an array that holds neither a row of photos nor pixels of several.
    """
    if isinstance(photos, np.ndarray):
        if photos.ndim not in (1, 4):
            raise ValueError(
                f"expected a list of photos, or an array [n] or [n, height, width, 3], got {_described(photos)}: "
                "put one photo in a list"
            )
    elif isinstance(photos, str | bytes | bytearray | memoryview | os.PathLike | Image.Image) or hasattr(
        photos, "read"
    ):
        raise TypeError(f"expected a list of photos, got one photo ({type(photos).__name__}): put it in a list")
    elif not isinstance(photos, Iterable):
        raise TypeError(f"expected a list of photos, got {type(photos).__name__}: give a list of paths or pictures")


def _check_array(photo: NDArray[np.uint8]) -> None:
    if photo.dtype != np.uint8:
        raise TypeError(
            f"expected a uint8 array [height, width, 3] with values 0 to 255, got {_described(photo)}: convert it"
        )
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise ValueError(
            f"expected a uint8 array [height, width, 3] of red, green and blue, got {_described(photo)}: convert it"
        )


def _described(array: NDArray[np.uint8]) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _read_stream(file: BinaryIO) -> bytes:
    """Read a file object whole, but no more than `MAX_FILE_BYTES`."""
    content = bytearray()
    try:
        seekable = getattr(file, "seekable", None)
        if seekable is not None and seekable():
            file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            if not isinstance(chunk, bytes):
                raise TypeError(f"expected a file object that gives bytes, got {type(chunk).__name__} from its read()")
            content += chunk
            if len(content) > MAX_FILE_BYTES:
                raise PhotoError(f"too large: expected at most {MAX_FILE_BYTES / 1e6:,.0f} MB")
    except (OSError, ValueError) as error:
        raise PhotoError(f"the file object cannot be read: {error}") from error
    return bytes(content)
