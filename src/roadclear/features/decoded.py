"""Decoded photos that are kept between two passes over the same files, so that each is decoded once."""

import threading

import numpy as np
from numpy.typing import NDArray

MAX_KEPT_BYTES = 256_000_000
"""Largest memory of decoded photos: 1,700 squares of 224 pixels. Further photos are decoded again."""


class DecodedPhotos:
    """Decoded photos by their SHA-256. Thread-safe.

    Args:
        limit: largest memory of the pixels in bytes. A photo above the limit is not kept. 0 keeps none.

    Example:
        >>> kept = DecodedPhotos(MAX_KEPT_BYTES)
        >>> kept.put("ab", np.zeros((224, 224, 3), np.uint8))
        >>> kept.take("ab").shape
        (224, 224, 3)
        >>> kept.take("ab") is None
        True
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._photos: dict[str, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of photos that are kept."""
        return len(self._photos)

    def put(self, sha256: str, photo: NDArray[np.uint8]) -> None:
        """Keep a photo, if there is room."""
        with self._lock:
            if sha256 not in self._photos and self._bytes + photo.nbytes <= self._limit:
                self._photos[sha256] = photo
                self._bytes += photo.nbytes

    def take(self, sha256: str) -> NDArray[np.uint8] | None:
        """Remove a photo and return its pixels; None for a photo that is not kept."""
        with self._lock:
            photo = self._photos.pop(sha256, None)
            self._bytes -= photo.nbytes if photo is not None else 0
            return photo

    def clear(self) -> None:
        """Remove all photos."""
        with self._lock:
            self._photos.clear()
            self._bytes = 0
