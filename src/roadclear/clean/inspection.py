"""One reading of every photo: its hash, its size, and what cleaning has to know of its pixels.

What the pixels say is kept in the feature cache by the hash of the file, so that looking at a folder again takes no
longer than reading it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from roadclear.cache import FeatureCache
from roadclear.dataset import LabelledPhoto
from roadclear.engine import available_cores
from roadclear.errors import PhotoError
from roadclear.fingerprint import fingerprint
from roadclear.parallel import ordered_map
from roadclear.photos import decode, identify, read_bytes

Progress = Callable[[int, int], None]
"""Called with how many photos are done, and how many there are."""

SIDE = 224
"""Side of the square that photos are squashed to for all that need not be exact, in pixels."""

LOSSLESS = {"PNG", "TIFF", "BMP", "PPM"}
"""Formats that usually hold every pixel as it was. WebP and AVIF rarely do, and GIF has 256 colours."""

# Raised whenever the meaning of a cached record changes.
_KIND = "clean/1"
_VIEW = "look"
_RECORD = np.dtype(
    [("format", "S8"), ("width", "<u4"), ("height", "<u4"), ("deviation", "<f4"), ("pixels", "u1", (32,))]
)


@dataclass(frozen=True, eq=False)
class Look:
    """What the content of a photo looks like.

    Attributes:
        format: a key of `PHOTO_FORMATS`.
        width: pixels from left to right of the upright photo.
        height: pixels from top to bottom of the upright photo.
        deviation: standard deviation of the squashed photo's channels, the largest of the three, in 0..127.5.
        pixels: SHA-256 of the upright RGB pixels at full size; of the file's bytes where the photo is too large
            to be decoded at full size.
        fingerprint: uint64 [k], see `roadclear.fingerprint`.
    """

    format: str
    width: int
    height: int
    deviation: float
    pixels: bytes
    fingerprint: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Picture:
    """A photo that can be read.

    Attributes:
        photo: where it lies.
        sha256: of the file's bytes, in hex.
        bytes: size of the file.
        is_link: whether the file is a symbolic link.
        look: what its content looks like.
    """

    photo: LabelledPhoto
    sha256: str
    bytes: int
    is_link: bool
    look: Look


def inspect(
    photos: Sequence[LabelledPhoto], cache: FeatureCache, progress: Progress = lambda done, total: None
) -> Iterator[Picture | PhotoError]:
    """Look at photos on all cores, each read once.

    Args:
        photos: to look at.
        cache: where looks are kept.
        progress: told after every photo.

    Yields:
        For every photo, in order, what was seen, or why it cannot be used.

    Raises:
        OutputError: the cache cannot be written.
    """
    inspected = ordered_map(partial(_inspect_one, cache=cache), photos, available_cores())
    try:
        for done, result in enumerate(inspected, start=1):
            if isinstance(result, Picture):
                _remember(result, cache)
            progress(done, len(photos))
            yield result
    finally:
        cache.flush()


def _inspect_one(photo: LabelledPhoto, cache: FeatureCache) -> Picture | PhotoError:
    try:
        data = read_bytes(photo.path)
        sha256 = hashlib.sha256(data).hexdigest()
        look = _recall(sha256, cache) or _look_at(data)
    except PhotoError as error:
        return error
    return Picture(photo, sha256, len(data), photo.path.is_symlink(), look)


def _look_at(data: bytes) -> Look:
    squashed = decode(data, SIDE)
    info = identify(data)
    return Look(
        format=info.format,
        width=info.width,
        height=info.height,
        deviation=float(cv2.meanStdDev(squashed)[1].max()),
        pixels=_pixel_hash(data),
        fingerprint=fingerprint(squashed),
    )


def _pixel_hash(data: bytes) -> bytes:
    try:
        pixels = decode(data)
    except PhotoError:  # it could be squashed, so it is whole, and only too large to be decoded at full size
        return hashlib.sha256(data).digest()
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.digest()


def _remember(picture: Picture, cache: FeatureCache) -> None:
    key = (picture.sha256, _KIND, _VIEW)
    if key not in cache:
        cache.put(*key, _to_record(picture.look))


def _recall(sha256: str, cache: FeatureCache) -> Look | None:
    if (sha256, _KIND, _VIEW) not in cache:
        return None
    return _from_record(cache.load([sha256], _KIND, _VIEW, np.uint8).tobytes())


def _to_record(look: Look) -> NDArray[np.uint8]:
    """A look as the cache holds it: a head of fixed size, then the fingerprint."""
    head = np.zeros((), _RECORD)
    head["format"] = look.format.encode()
    head["width"], head["height"], head["deviation"] = look.width, look.height, look.deviation
    head["pixels"] = np.frombuffer(look.pixels, np.uint8)
    return np.frombuffer(head.tobytes() + look.fingerprint.tobytes(), np.uint8)


def _from_record(record: bytes) -> Look:
    head = np.frombuffer(record, _RECORD, count=1)[0]
    return Look(
        format=head["format"].decode(),
        width=int(head["width"]),
        height=int(head["height"]),
        deviation=float(head["deviation"]),
        pixels=head["pixels"].tobytes(),
        fingerprint=np.frombuffer(record[_RECORD.itemsize :], np.uint64),
    )
