"""Frames of the camera that are worth keeping: sharp ones, each different from those before."""

from collections import deque
from io import BytesIO

import numpy as np
from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.phash import fingerprint

_SIDE = 256
_NEAR_COPY = 3
"""Bits of 64 in which near copies differ at most, as between frames that `watch` keeps."""

_REMEMBERED = 200
_RECENT = 30
_BLURRED = 0.4
"""A frame is blurred if its sharpness is below this share of the sharpest recent frame's."""

SHARP, BLURRED, EQUAL = "kept", "blurred", "equal"


class FrameSieve:
    """Sieve for the frames of one camera. The caller offers one frame after the other."""

    def __init__(self) -> None:
        self._sharpness: deque[float] = deque(maxlen=_RECENT)
        self._kept: deque[int] = deque(maxlen=_REMEMBERED)

    def offer(self, data: bytes) -> str:
        """Say whether a frame is kept: "kept", "blurred", or "equal" to a kept one.

        Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield
        microscopy: a comparative study"), compared with recent frames, because it depends on the scene.

        Args:
            data: JPEG of the frame.

        Raises:
            PhotoError: the frame is no picture.
        """
        try:
            with Image.open(BytesIO(data), formats=("JPEG",)) as opened:
                opened.draft("RGB", (_SIDE, _SIDE))
                square = np.asarray(opened.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), np.uint8)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise PhotoError("the frame is no JPEG") from error
        sharpness = _sharpness(square)
        self._sharpness.append(sharpness)
        if sharpness < _BLURRED * max(self._sharpness):
            return BLURRED
        look = int(fingerprint(square)[0])
        if any((look ^ other).bit_count() <= _NEAR_COPY for other in self._kept):
            return EQUAL
        self._kept.append(look)
        return SHARP


def _sharpness(square: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> float:
    grey = square.astype(np.float32).mean(axis=2)
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(laplacian.var())
