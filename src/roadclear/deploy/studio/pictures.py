"""Pictures for the page: small and large JPEGs of photos, the latest ones kept in memory."""

import threading
from collections import OrderedDict
from pathlib import Path

from roadclear.images.thumbnails import jpeg_bytes, view_photo

SIDES = {"small": 192, "large": 1280}
"""Longer side of a picture, in pixels."""

_QUALITY = {"small": 72, "large": 85}
_KEPT_BYTES = 96_000_000
_AT_ONCE = 2
"""Pictures that are made at the same time. More would keep the training from the cores."""


class Pictures:
    """Pictures of photos. Threads may share an object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._makers = threading.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, path: Path, stamp: str, size: str) -> bytes:
        """Return a photo as JPEG.

        Args:
            path: file of the photo.
            stamp: word that changes when the file changes.
            size: a key of `SIDES`.

        Raises:
            PhotoError: the photo cannot be used.
        """
        key = (str(path), stamp, size)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        with self._makers:
            made = jpeg_bytes(view_photo(path, SIDES[size]), _QUALITY[size])
        with self._lock:
            self._bytes += len(made) - len(self._kept.pop(key, b""))
            self._kept[key] = made
            while self._bytes > _KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made
