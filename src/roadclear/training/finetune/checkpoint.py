"""Checkpoint of a fine-tuning after every epoch, in one file without pickle. Resuming gives the same result."""

import io
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

Arrays = Mapping[str, NDArray[np.float32]]


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
    with suppress(OutputError):
        write_file(path, file.getvalue())


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read the checkpoint in a file; None for a missing or damaged file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    history = tuple(Epoch(int(number), *losses) for number, *losses in arrays.pop("history").tolist())
    best_epoch = int(arrays.pop("best_epoch"))
    groups: dict[str, dict[str, NDArray[np.float32]]] = {}
    for key, array in arrays.items():
        group, name = key.split(":")
        groups.setdefault(group, {})[name] = array
    return Checkpoint(history, best_epoch, groups)
