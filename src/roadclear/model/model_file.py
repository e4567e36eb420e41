"""Model files on disk: read with limits, and compared with the run folder that they lie in."""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path

from roadclear.errors import ModelFileError

MODEL_FILE = "model.onnx"
"""Name of the model file in a run folder."""

METRICS_FILE = "metrics.json"
"""Name of the file in a run folder that holds the SHA-256 of the model file."""

SHA256_KEY = "model_sha256"
"""Key of the SHA-256 in `METRICS_FILE`. Runs of older versions have no such key."""

MAX_MODEL_BYTES = 200_000_000
"""Model files above this size are not read; usual ones have 9 to 15 MB."""

_MAX_METRICS_BYTES = 50_000_000


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not where the path is impossible."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether a regular file is there; not where the path is impossible."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_model_file(file: Path) -> bytes:
    """Read a model file whole; never wait on a pipe, a socket or a device.

    Raises:
        ModelFileError: there is no regular file, the file cannot be read, or the file is too large.
    """
    try:
        return _read_regular(file, MAX_MODEL_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFileError(
            f"expected a model file at {str(file)!r}, found none that can be read ({reason}): "
            "give a run folder or a model.onnx"
        ) from error


def read_run_model(folder: Path) -> bytes:
    """Read the model file of a run folder, and compare the file with the SHA-256 in the run's metrics.

    A run without a readable SHA-256 is not compared.

    Raises:
        ModelFileError: see `read_model_file`. Or the file is not the one that the run's training wrote.
    """
    file = folder / MODEL_FILE
    data = read_model_file(file)
    expected = _written_sha256(folder)
    found = hashlib.sha256(data).hexdigest() if expected is not None else None
    if expected != found:
        raise ModelFileError(
            f"expected in {str(folder)!r} the model that the run was measured with, found another (its SHA-256 is not "
            f"the one in {METRICS_FILE}): name {str(file)!r} to use that file by itself, or train again"
        )
    return data


def is_of_run(data: bytes, folder: Path) -> bool:
    """Whether a model file's content is that of a run folder, or the run does not say."""
    expected = _written_sha256(folder)
    return expected is None or expected == hashlib.sha256(data).hexdigest()


def _written_sha256(folder: Path) -> str | None:
    """Read the SHA-256 of the model file from a run's metrics; None where there is none."""
    try:
        values = json.loads(_read_regular(folder / METRICS_FILE, _MAX_METRICS_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    written = values.get(SHA256_KEY) if isinstance(values, dict) else None
    return written if isinstance(written, str) else None


def _read_regular(path: Path, most: int) -> bytes:
    # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most / 1e6:,.0f} MB")
    return data
