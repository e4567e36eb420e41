"""The drawing that test photos show, and writers for files that no encoder would write.

Every good photo shows the same four fields of colour, so one expectation covers colours, orientation and
cropping at once.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Colour = tuple[int, int, int]
Fields = tuple[Colour, Colour, Colour, Colour]

WIDTH, HEIGHT = 64, 48
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
FIELDS: Fields = ((220, 40, 40), (40, 200, 60), (40, 60, 210), (230, 220, 50))
"""The drawing: colours of the fields at the top left, top right, bottom left and bottom right."""
GREYS: Fields = tuple((level,) * 3 for level in (20, 90, 160, 230))  # type: ignore[assignment]

TRUNCATED = "truncated|damaged"
TOO_LARGE = "too large"
DAMAGED = "damaged|truncated"


@dataclass(frozen=True)
class Outcome:
    """Either a photo of `width` x `height` pixels with these fields, or a PhotoError matching `reason`."""

    fields: Fields = FIELDS
    width: int = WIDTH
    height: int = HEIGHT
    tolerance: int = 0
    frames: int = 1
    reason: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How one file of the corpus is made: from its content, or by a function given the path."""

    name: str
    content: bytes | Callable[[Path], None]
    outcome: Outcome


def refused(reason: str) -> Outcome:
    return Outcome(reason=reason)


def drawing(fields: Fields = FIELDS, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """[height, width, 3]: four fields of colour that meet in the middle."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = fields[0], fields[1]
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = fields[2], fields[3]
    return pixels


def fields_of(pixels: NDArray[np.uint8]) -> Fields:
    """The colour in the middle of each quarter."""
    height, width, _ = pixels.shape
    rows, columns = (height // 4, height - 1 - height // 4), (width // 4, width - 1 - width // 4)
    return tuple(tuple(int(v) for v in pixels[y, x]) for y in rows for x in columns)  # type: ignore[return-value]


def encoded(image: Image.Image | NDArray[np.uint8], format_name: str, **options: object) -> bytes:
    """The bytes of an image file."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def grey_drawing() -> Image.Image:
    return Image.fromarray(drawing(GREYS)[:, :, 0])


def top_down_bmp() -> bytes:
    """The drawing as a BMP with negative height, whose first row is the top one."""
    pixels = drawing()[:, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + header + pixels


def oriented(orientation: int) -> Image.Exif:
    """Metadata with an Orientation tag, and another one behind it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Software] = "four fields of colour"
    return exif


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(
    pixels: bytes, width: int, height: int, depth: int, colour: int, interlace: int = 0, extra: bytes = b""
) -> bytes:
    """A PNG from filtered rows (ISO/IEC 15948); `extra` chunks go before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(pixels))
    return PNG_SIGNATURE + body + png_chunk(b"IEND", b"")


Tags = dict[int, tuple[int, int, int]]


def tiff_tags(width: int = WIDTH, height: int = HEIGHT) -> Tags:
    """The tags of an uncompressed grey TIFF with one strip: tag -> type, count, value."""
    return {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 200),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, width * height),
    }


def tiff_file(tags: Tags, next_page: int = 0, strip: bytes = bytes([128]) * (WIDTH * HEIGHT)) -> bytes:
    """A little-endian TIFF: header, one directory, and `strip` from byte 200 on."""
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_page)
    return (struct.pack("<2sHI", b"II", 42, 8) + directory).ljust(200, b"\0") + strip
