"""Limits of decoding: what one photo, and all photos together, may cost. Each limit stands with its reason.

A walk through the file (`roadclear.images.structure`) counts its parts, then the header shows its pixels and memory.
All limits are checked before anything is decoded.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from roadclear.errors import PhotoError

MAX_FILE_BYTES = 200_000_000
"""Files above this size are not read. The largest camera JPEGs have about 60 MB."""

MAX_PIXELS = 250_000_000
"""Largest number of pixels, at any scale. The largest phone sensors have 200 million."""

MAX_WORKING_BYTES = 200_000_000
"""Largest memory for decoding one photo, in addition to the file: 25 megapixels of RGB at full size."""

MAX_SHARED_BYTES = 1_000_000_000
"""Largest memory of all photos that are decoded at the same time, with their files. Further photos wait.

Ten photos of 12 megapixels are decoded at full size within this limit, and hundreds at a reduced scale."""

MAX_METADATA_BYTES = 32_000_000
"""Largest metadata of one photo. Depth maps in XMP, the largest metadata of photos, have about 10 MB."""

MAX_SEGMENTS = 2_000
"""Largest number of parts without pixels in a JPEG, PNG or AVIF. A colour profile takes at most 255 parts of a JPEG."""

MAX_EXIF_SEGMENTS = 16
"""Largest number of Exif segments in a JPEG, 1 MB in all. The standard has one; Pillow joins them pair by pair."""

MAX_PHOTOSHOP_SEGMENTS = 64
"""Largest number of Photoshop segments in a JPEG, 4 MB in all. Editors write some; Pillow parses each block of them."""

MAX_EXIF_BYTES = 1_000_000
"""Longer Exif data is not read, and the photo is taken as upright. Exif data of photos has at most 64 kB."""

MAX_JUNK_BYTES = 100_000
"""Largest number of bytes between the segments of a JPEG. Pillow reads them one by one; cameras pad with a few."""

MAX_SCANS = 1_000
"""Largest number of scans in a JPEG. Encoders write about ten."""

MAX_SCAN_SAMPLES = 1_000_000_000
"""Largest number of samples in all scans of a JPEG together. Every scan, even an empty one, is a pass over the photo.

The largest progressive JPEG that fits `MAX_WORKING_BYTES` takes 500 million in the scans of usual encoders."""

MAX_CHUNKS = 100_000
"""Largest number of chunks in a PNG or WebP. A PNG of 200 MB in the usual pieces of 8 kB has 25,000."""

MAX_PROFILE_CHUNKS = 4
"""Largest number of colour profiles in a PNG. The standard has one; each may unpack to 1 MB."""

MAX_PACKED_CHUNKS = 256
"""Largest number of compressed texts in a PNG. Each may unpack to 1 MB."""

MAX_GIF_FRAMES = 10_000
"""Largest number of frames in a GIF: seven minutes at 24 frames a second."""

MAX_GIF_BLOCKS = 2_000_000
"""Largest number of blocks in a GIF. A GIF of 200 MB in blocks of 255 bytes has 800,000."""

MAX_HEADER_BLOCKS = 100_000
"""Largest number of blocks before the first frame of a GIF. Comments and colour profiles have some hundreds."""

MAX_DIRECTORIES = 10_000
"""Largest number of directories (pages) in a TIFF."""

MAX_TAGS = 2_000
"""Largest number of tags in a directory of a TIFF. Cameras and scanners write at most 200."""

MAX_TAG_VALUES = 100_000
"""Largest number of numeric values in a directory of a TIFF. Each strip takes two: 20,000 rows take 40,000."""

MAX_AVIF_TABLE_BYTES = 100_000
"""Largest tables of an AVIF. Decoders compare entries with one another; a photo in 1,000 tiles has about 20 kB."""

MAX_AVIF_FRAMES = 16
"""Largest number of frames in one picture of an AVIF. A still has one, and a layered picture at most 4."""

MAX_AVIF_UNITS = 100_000
"""Largest number of units (sequence headers, frames, padding) in all pictures of an AVIF together."""

MAX_TEXT_HEADER_BYTES = 10_000
"""Largest header of a PPM, with comments. Pillow reads the header byte by byte."""

MAX_WORKER_SECONDS = 20
"""Longest time for a photo from the network. Photos take some milliseconds; a loaded computer may take seconds."""

MAX_WORKER_BYTES = 1_500_000_000
"""Largest address space of the process that decodes a photo from the network.

The largest file takes 200 MB up to three times, decoding 200 MB, and the interpreter with its libraries 200 MB."""

# Peak memory in bytes per pixel, measured. For a picture and its copies on the way to RGB, by Pillow mode:
_MODE_BYTES = {"1": 2, "L": 1, "P": 9, "RGB": 4, "LA": 12, "PA": 12, "I": 22, "F": 22}
_OTHER_MODE_BYTES = 8
# For decoders that need more memory than the picture (HEIF: 3 to 13, the most with 10 bits and transparency):
_DECODER_BYTES = {"WEBP": 16, "AVIF": 16, "HEIF": 16, "TIFF": 8}
# For a result at full size:
_RESULT_BYTES = 8
# Pillow's two decoders in pure Python need about a microsecond per pixel.
_SLOW_DECODERS = {"bmp_rle", "ppm"}
_MAX_SLOW_PIXELS = 2_000_000


def check_pixels(image: ImageFile.ImageFile) -> None:
    """Refuse a picture with too many pixels, by its header.

    Raises:
        PhotoError: the picture has more pixels than `MAX_PIXELS`, or than the limit of a slow decoder.
    """
    slow = any(tile[0] in _SLOW_DECODERS for tile in image.tile)
    limit = _MAX_SLOW_PIXELS if slow else MAX_PIXELS
    if image.width * image.height > limit:
        raise PhotoError(
            f"too large: {image.width:,} x {image.height:,} pixels, expected at most {limit:,}"
            f" in {'this kind of' if slow else 'a'} {image.format} file; scale it down"
        )


def working_bytes(image: Image.Image, decoder_bytes: int, full_size: bool) -> int:
    """Count the memory for decoding a picture at its current scale, and refuse a picture that needs too much.

    Args:
        image: picture, opened but not loaded.
        decoder_bytes: further memory of the decoder in bytes, from `roadclear.images.structure.walk`.
        full_size: whether the result is as large as the picture.

    Returns:
        Memory in bytes, at most `MAX_WORKING_BYTES`.

    Raises:
        PhotoError: decoding needs more than `MAX_WORKING_BYTES`.
    """
    pixel_bytes = max(
        _MODE_BYTES.get(image.mode, _OTHER_MODE_BYTES),
        _DECODER_BYTES.get(str(image.format), 0),
        _RESULT_BYTES if full_size else 0,
    )
    need = image.width * image.height * pixel_bytes + decoder_bytes
    if need > MAX_WORKING_BYTES:
        raise PhotoError(
            f"too large: decoding this {image.format} file takes {need / 1e6:,.0f} MB of memory,"
            f" expected at most {MAX_WORKING_BYTES / 1e6:,.0f}; scale it down"
        )
    return need


class SharedMemory:
    """Memory that threads share: a thread waits until others give back enough.

    Args:
        limit: memory of all threads together, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, need: int) -> Iterator[None]:
        """Hold memory while the block runs. A thread that holds memory must not ask for more.

        Args:
            need: memory in bytes. A need above the limit waits until nobody else holds memory.
        """
        need = min(need, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._used + need <= self._limit)
            self._used += need
        try:
            yield
        finally:
            with self._changed:
                self._used -= need
                self._changed.notify_all()


decoding_memory = SharedMemory(MAX_SHARED_BYTES)
"""Memory of all threads that decode."""
