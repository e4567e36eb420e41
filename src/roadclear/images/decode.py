"""A file becomes an upright RGB array, or a PhotoError with a reason a person understands.

What a file holds decides how it is read; its name never does. Only the decoders listed in `PHOTO_FORMATS`
run, and none of them starts a program. Broken, hostile and huge files are refused before they cost
much: `roadclear.images.limits` says what one photo, and all photos at the same time, may cost.

Everything here may be called from many threads at once.
"""

import errno
import logging
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from roadclear.errors import PhotoError
from roadclear.images.limits import MAX_FILE_BYTES, check_pixels, decoding_memory, working_bytes
from roadclear.images.pixels import is_turned, upright_pixels
from roadclear.images.sniff import describe
from roadclear.images.structure import Structure, walk
from roadclear.utils.text import printable

PHOTO_FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""The formats that are read, each with the extensions its files usually have. HEIF needs the extra `heif`."""

# Metadata of real photos is often slightly broken, and Pillow warns about it; the pixels are fine.
# A filter for the whole process, because warnings.catch_warnings is not safe in a pool of threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Plug-ins are called by name, not through Image.open: that one asks every plug-in in turn, and
# warns or fails by total pixels where only the pixels that remain after `draft` matter.
_DECODERS: tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb".{4}ftyp(avi[fs]|(mif1|msf1).{0,64}avif)", re.DOTALL), AvifImagePlugin.AvifImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    (re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    (re.compile(rb"P[456]\s"), PpmImagePlugin.PpmImageFile),
)

# Brands of ISO/IEC 23008-12 for pictures that are coded by HEVC.
_HEIF = re.compile(rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)

_HEAD_BYTES = 1024
_EMPTY = "the file is empty"


@dataclass(frozen=True)
class PhotoInfo:
    """What a photo's header says.

    Attributes:
        format: a key of `PHOTO_FORMATS`.
        width: pixels from left to right of the upright photo, as stored in the file.
        height: pixels from top to bottom of the upright photo, as stored in the file.
        frames: 1, or more for an animation or a document of several pages (`decode` gives the first).
    """

    format: str
    width: int
    height: int
    frames: int


def read_photo(path: str | os.PathLike[str], size: int | None = None) -> NDArray[np.uint8]:
    """`decode` of `read_bytes`: the photo in a file as an upright RGB array."""
    return decode(read_bytes(path), size)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a regular file whole; never wait on a pipe, a socket or a device.

    Raises:
        PhotoError: the file is missing, empty, unreadable, above `MAX_FILE_BYTES`, or not a regular file.
    """
    # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
        try:
            _check_regular(os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read()
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise PhotoError(_why_unreadable(path, error)) from error
    if not data:
        raise PhotoError(_EMPTY)
    return data


def identify(data: bytes) -> PhotoInfo:
    """Format, upright size and frame count of a photo, from its header.

    A PNG without orientation in its header is decoded, because the tag may follow the pixels.

    Raises:
        PhotoError: `data` is not a photo in one of `PHOTO_FORMATS`, or is broken or too large.
    """
    image, structure = _open(data)
    with photo_errors(image.format):
        frames = structure.frames or int(getattr(image, "n_frames", 1))
        width, height = image.size
        need = working_bytes(image, structure.decoder_bytes, full_size=False) if image.format == "PNG" else 0
        with decoding_memory.reserve(len(data) + need):
            if is_turned(image):
                width, height = height, width
    return PhotoInfo(str(image.format), width, height, frames)


def decode(data: bytes, size: int | None = None) -> NDArray[np.uint8]:
    """Decode the first frame of a photo, upright, and on white where it is transparent.

    With `size`, the whole photo is squashed to a square with an antialiasing triangle filter; JPEGs are then
    decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 that is at least as large. 16-bit greys
    keep their upper 8 bits; for 32-bit integer and float greys white is the first of 1 (float), 255,
    65,535 and the brightest pixel that no pixel exceeds.

    Args:
        data: the content of the file; it decides, the name does not.
        size: width and height of the result in pixels, or None for the photo's own.

    Returns:
        uint8 RGB in 0..255, [size, size, 3], or [height, width, 3] without `size`; writable.

    Raises:
        PhotoError: `data` is not a photo in one of `PHOTO_FORMATS`, or is broken or too large.
    """
    image, structure = _open(data)
    picture: list[Image.Image] = [image]
    del image  # the list holds the only reference, so that `upright_pixels` can release the picture
    with photo_errors(picture[0].format):
        region = _reduce_scale(picture[0], size)
        need = working_bytes(picture[0], structure.decoder_bytes, full_size=size is None)
        with decoding_memory.reserve(len(data) + need):
            picture[0].load()
            return upright_pixels(picture, size, region)


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise PhotoError("a folder, not a photo")
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError("a pipe, socket or device, not a photo")
    if status.st_size > MAX_FILE_BYTES:
        raise PhotoError(f"too large: {status.st_size / 1e6:,.0f} MB, expected at most {MAX_FILE_BYTES / 1e6:,.0f}")


def _why_unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "not a possible file name"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "a broken link: its target is missing" if Path(path).is_symlink() else "the file is missing"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission to read it"
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno == errno.ENXIO:
        return "a pipe, socket or device, not a photo"
    return f"it cannot be read: {os.strerror(error.errno or errno.EIO)}"


@contextmanager
def photo_errors(format_name: str | None) -> Iterator[None]:
    """Turn whatever broken bytes make Pillow raise into a PhotoError; no narrower class covers all of it."""
    try:
        yield
    except PhotoError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise PhotoError(f"too large: not enough memory for this {format_name} file; scale it down") from error
    except Exception as error:
        if "truncated" in str(error).lower():
            raise PhotoError(f"truncated: this {format_name} file ends too early; copy or download it again") from error
        # A library may quote bytes of the file in its message.
        detail = printable(" ".join(str(error).split())) or type(error).__name__
        raise PhotoError(f"a damaged {format_name} file ({detail[:120]}); copy or download it again") from error


def _open(data: bytes) -> tuple[ImageFile.ImageFile, Structure]:
    if not data:
        raise PhotoError(_EMPTY)
    head = data[:_HEAD_BYTES]
    decoder = next((decoder for signature, decoder in _DECODERS if signature.match(head)), None)
    if decoder is None and _HEIF.match(head):
        decoder = _heif_decoder()
    if decoder is not None:
        with photo_errors(decoder.format):
            structure = walk(str(decoder.format), data)
            image = decoder(BytesIO(data))
            check_pixels(image)
            return image, structure
    raise PhotoError(describe(head) or f"not a photo in a known format ({', '.join(PHOTO_FORMATS)})")


def _heif_decoder() -> type[ImageFile.ImageFile] | None:
    """The decoder of pillow-heif, which comes with the extra `heif`; None without the extra."""
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError:
        return None
    decoder: type[ImageFile.ImageFile] = HeifImageFile
    return decoder


def _reduce_scale(image: Image.Image, size: int | None) -> tuple[float, float, float, float] | None:
    """Have a JPEG decoded at a reduced scale; return the region of the result that the photo covers."""
    if size is None or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    reduced = image.draft("RGB", (size, size))
    return reduced[1] if reduced else None


@dataclass(frozen=True)
class UnreadablePhoto:
    """A photo that could not be used, and why.

    Attributes:
        file: path of the photo as it was given; None for a photo that was not given as a path.
        reason: what is wrong, without the name of the file.
    """

    file: Path | None
    reason: str


def skipped_values(skipped: Iterable[UnreadablePhoto]) -> list[dict[str, str]]:
    """Photos that could not be used, as plain values."""
    return [{"file": str(photo.file), "reason": photo.reason} for photo in skipped]
