"""Checkpoint of a fine-tuning after every epoch, in one file without pickle. Resuming gives the same result.

The file is a NumPy archive and a SHA-256 of the file's name and the archive. The name holds the key of the training.
So a damaged file, and the file of another training under this name, count as none.
"""

import hashlib
import io
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OutputError
from roadclear.model.heads import Epoch
from roadclear.utils.files import write_file
from roadclear.utils.paths import checkpoint_path

Arrays = Mapping[str, NDArray[np.float32]]

_DIGEST_BYTES = 32
# A temporary file of another training that is older than this belongs to a process that was killed.
_LEFTOVER_SECONDS = 3600


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a fine-tuning between two epochs.

    Attributes:
        history: finished epochs.
        best_epoch: number of the epoch with the parameters in the group "best".
        groups: arrays by group and parameter. Groups are the parameters, the best parameters and the optimizer's state.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    groups: Mapping[str, Arrays]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    A checkpoint only saves time, so a file that cannot be written is not an error.
    """
    arrays: dict[str, Any] = {
        f"{group}:{name}": array for group, named in checkpoint.groups.items() for name, array in named.items()
    }
    file = io.BytesIO()
    np.savez(
        file,
        history=np.array([astuple(epoch) for epoch in checkpoint.history], dtype=np.float64),
        best_epoch=np.int64(checkpoint.best_epoch),
        **arrays,
    )
    file.write(_digest(path, file.getvalue()))
    with suppress(OutputError):
        write_file(path, file.getvalue())


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read the checkpoint in a file; None for a missing or damaged file, and for that of another training.

    What killed processes left while they wrote checkpoints is removed.
    """
    _remove_leftovers(path)
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    archive, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if digest != _digest(path, archive):
        return None
    try:
        return _parse(archive)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):  # written by another version
        return None


def delete_checkpoint(path: Path) -> None:
    """Delete a checkpoint, if there is one. A file that cannot be deleted costs space, and is not an error."""
    with suppress(OSError):
        path.unlink()


def _parse(archive: bytes) -> Checkpoint:
    with np.load(io.BytesIO(archive), allow_pickle=False) as file:
        arrays = dict(file)
    history = tuple(Epoch(int(number), *losses) for number, *losses in arrays.pop("history").tolist())
    best_epoch = int(arrays.pop("best_epoch"))
    groups: dict[str, dict[str, NDArray[np.float32]]] = {}
    for key, array in arrays.items():
        group, name = key.split(":")
        groups.setdefault(group, {})[name] = array
    return Checkpoint(history, best_epoch, groups)


def _digest(path: Path, archive: bytes) -> bytes:
    digest = hashlib.sha256(f"{path.name}\0".encode())
    digest.update(archive)
    return digest.digest()


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files that killed processes left: those of this training, and old ones of any training."""
    now = time.time()
    for file in path.parent.glob(f".{checkpoint_path(path, '*').name}.*"):
        with suppress(OSError):
            if file.name.startswith(f".{path.name}.") or now - file.stat().st_mtime > _LEFTOVER_SECONDS:
                file.unlink()
