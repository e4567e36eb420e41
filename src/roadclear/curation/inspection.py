"""Inspection: every photo is read once, for its hash, its size and statistics of its pixels.

The statistics are kept in the feature cache by the hash of the file. Inspecting a folder again takes no longer than
reading the files.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.data.dataset import LabelledPhoto
from roadclear.errors import PhotoError
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import ExtractedPhoto, FeatureExtractor
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import decode, identify, read_bytes
from roadclear.images.phash import fingerprint
from roadclear.images.photo import held_pixels
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import ordered_map, worker_threads

LOSSLESS = {"PNG", "TIFF", "BMP", "PPM"}
"""Formats that usually keep every pixel. WebP and AVIF rarely do, and GIF has 256 colours."""

# Side of the square that the network sees, in pixels.
_SIDE = 224

# Raised whenever the meaning of a cached record changes.
_KIND = "clean/2"
_VIEW = "look"
_RECORD = np.dtype(
    [
        ("format", "S8"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("deviation", "<f4"),
        ("pixels", "u1", (32,)),
        ("fingerprint", "<u8", (2,)),
    ]
)


@dataclass(frozen=True, eq=False)
class PhotoStats:
    """Statistics of the content of a photo.

    Attributes:
        format: a key of `PHOTO_FORMATS`.
        width: pixels from left to right of the upright photo.
        height: pixels from top to bottom of the upright photo.
        deviation: standard deviation of the squashed photo's channels, the largest of the three, in 0..127.5.
        pixels: SHA-256 of the upright RGB pixels at full size, or of the file's bytes if the photo is too large to
            be decoded at full size.
        fingerprint: uint64 [2], see `roadclear.images.phash`.
    """

    format: str
    width: int
    height: int
    deviation: float
    pixels: bytes
    fingerprint: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class InspectedPhoto:
    """A photo that can be read.

    Attributes:
        photo: the photo, with its path and label.
        sha256: SHA-256 of the file, in hex.
        bytes: size of the file in bytes.
        is_link: whether the file is a symbolic link.
        look: statistics of the content.
    """

    photo: LabelledPhoto
    sha256: str
    bytes: int
    is_link: bool
    look: PhotoStats


def inspect(
    photos: Sequence[LabelledPhoto],
    cache: FeatureCache,
    extractor: FeatureExtractor | None,
    progress: ProgressCallback = no_progress,
) -> Iterator[InspectedPhoto | PhotoError]:
    """Inspect photos on all cores. Each photo is read once.

    Args:
        photos: photos to inspect.
        cache: cache of the statistics.
        extractor: extractor that puts the plain embedding of every photo into its cache, or None for no embeddings.
        progress: callback for progress, called after every photo.

    Yields:
        For every photo, in order, the inspected photo, or the error if the photo cannot be used.
    """
    inspected = ordered_map(partial(_inspect_one, cache=cache, extractor=extractor), photos, worker_threads())
    try:
        with closing(inspected):
            for done, (result, extracted) in enumerate(inspected, start=1):
                if isinstance(result, InspectedPhoto):
                    _remember(result, cache)
                if extractor is not None and extracted is not None:
                    extractor.keep(extracted)
                progress("Looking at photos", done, len(photos))
                yield result
    finally:
        cache.flush()


def _inspect_one(
    photo: LabelledPhoto, cache: FeatureCache, extractor: FeatureExtractor | None
) -> tuple[InspectedPhoto | PhotoError, ExtractedPhoto | None]:
    try:
        data = read_bytes(photo.path)
        sha256 = hashlib.sha256(data).hexdigest()
        look = _recall(sha256, cache) or _look_at(data)
        extracted = extractor.compute(photo.path, data, sha256, [PLAIN_VIEW]) if extractor is not None else None
    except PhotoError as error:
        return error, None
    return InspectedPhoto(photo, sha256, len(data), photo.path.is_symlink(), look), extracted


def _look_at(data: bytes) -> PhotoStats:
    info = identify(data)
    try:
        pixels = decode(data)
        content = _pixel_hash(pixels)
    except PhotoError:  # perhaps it is only too large to be decoded at full size
        pixels = decode(data, _SIDE)
        content = hashlib.sha256(data).digest()
    squashed = held_pixels(Image.fromarray(pixels), _SIDE)
    deviation = float(np.float32(squashed.reshape(-1, 3).std(axis=0).max()))  # as the cache keeps it
    return PhotoStats(info.format, info.width, info.height, deviation, content, fingerprint(squashed))


def _pixel_hash(pixels: NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(str(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.digest()


def _remember(picture: InspectedPhoto, cache: FeatureCache) -> None:
    key = (picture.sha256, _KIND, _VIEW)
    if key not in cache:
        look = picture.look
        record = np.zeros(1, _RECORD)
        record["format"], record["deviation"] = look.format.encode(), look.deviation
        record["width"], record["height"] = look.width, look.height
        record["pixels"], record["fingerprint"] = np.frombuffer(look.pixels, np.uint8), look.fingerprint
        cache.put(*key, record)


def _recall(sha256: str, cache: FeatureCache) -> PhotoStats | None:
    found = cache.find(sha256, _KIND, _VIEW, np.uint8)
    if found is None:
        return None
    record = found.view(_RECORD)[0]
    return PhotoStats(
        format=record["format"].decode(),
        width=int(record["width"]),
        height=int(record["height"]),
        deviation=float(record["deviation"]),
        pixels=record["pixels"].tobytes(),
        fingerprint=record["fingerprint"].astype(np.uint64),
    )
