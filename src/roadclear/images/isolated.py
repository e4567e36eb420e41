"""Photos from the network are decoded in a process of their own, with limits of time and memory.

The limits of `roadclear.images.limits` hold there as well. The process guards against what they do not know: a loop or
a fault in a decoder.
"""

import atexit
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import PhotoError
from roadclear.images.decode import PHOTO_FORMATS, PhotoInfo, decode, identify
from roadclear.images.limits import MAX_PIXELS, MAX_WORKER_BYTES, MAX_WORKER_SECONDS, MAX_WORKING_BYTES
from roadclear.utils.worker import Message, WorkerError, WorkerPool

_workers = WorkerPool(f"{__name__}:answer", MAX_WORKER_SECONDS, MAX_WORKER_BYTES, MAX_WORKING_BYTES)
atexit.register(_workers.close)


def identify_isolated(data: bytes, trial_size: int) -> PhotoInfo:
    """`identify` in another process, after a trial that the photo can be decoded.

    Args:
        data: content of the file.
        trial_size: size for the trial, as `decode` takes it.

    Raises:
        PhotoError: see `decode`; or decoding took too much time or memory, or ended the process.
    """
    values, _ = _ask({"work": "identify", "size": trial_size}, data)
    format_name, width, height, frames = (values.get(key) for key in ("format", "width", "height", "frames"))
    numbers = [number for number in (width, height, frames) if isinstance(number, int) and number > 0]
    if format_name not in PHOTO_FORMATS or len(numbers) < 3 or numbers[0] * numbers[1] > MAX_PIXELS:
        raise PhotoError(_no_answer(late=False))
    return PhotoInfo(str(format_name), *numbers)


def decode_isolated(data: bytes, size: int) -> NDArray[np.uint8]:
    """`decode` in another process.

    Args:
        data: content of the file.
        size: width and height of the result in pixels.

    Returns:
        uint8 RGB in 0..255, [size, size, 3].

    Raises:
        PhotoError: see `decode`; or decoding took too much time or memory, or ended the process.
    """
    _, pixels = _ask({"work": "decode", "size": size}, data)
    if len(pixels) != size * size * 3:
        raise PhotoError(_no_answer(late=False))
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(size, size, 3)


def answer(values: dict[str, Any], data: bytes) -> Message:
    """Answer a request in the worker: with what was asked for, or with the reason why a photo cannot be used."""
    try:
        pixels = decode(data, values["size"])
        if values["work"] == "decode":
            return {}, pixels.tobytes()
        info = identify(data)
    except PhotoError as error:
        return {"reason": error.reason}, b""
    return {"format": info.format, "width": info.width, "height": info.height, "frames": info.frames}, b""


def _ask(values: dict[str, Any], data: bytes) -> Message:
    try:
        answered, content = _workers.call(values, data)
    except WorkerError as error:
        raise PhotoError(_no_answer(error.late)) from error
    if "reason" in answered:
        raise PhotoError("".join(filter(str.isprintable, str(answered["reason"])))[:200])
    return answered, content


def _no_answer(late: bool) -> str:
    if late:
        return f"decoding took longer than {MAX_WORKER_SECONDS} s: a damaged or hostile file; leave it out"
    return "a damaged or hostile file (its decoder ended without a result); leave it out"
