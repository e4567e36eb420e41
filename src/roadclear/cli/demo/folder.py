"""The folder of a demonstration: whose it is, and what may be replaced in it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roadclear.data.dataset import load_folder
from roadclear.errors import OutputError
from roadclear.utils.files import write_file
from roadclear.utils.locks import folder_lock

MARKER = "demo.json"

_OURS = ("photos", "planted.csv", "triage", "decisions.csv", "run", "grid.png", "heatmaps")


@contextmanager
def claimed(folder: Path, photos: Path | None, overwrite: bool) -> Iterator[None]:
    """Hold a folder for a demonstration, without what an earlier one made there.

    A folder that an interrupted demonstration left is used again from the start: everything in it can be made again.

    Args:
        folder: is made where it is missing.
        photos: a person's own, that must stay as they are, or None.
        overwrite: whether a finished demonstration is replaced.

    Raises:
        DatasetError: the photos are no folder of two labels.
        OutputError: it holds other things, or a finished demonstration that must not be replaced; it is at work; it
            lies among the photos, or they in it; or it cannot be written.
    """
    if photos is not None:
        _check_apart(folder, photos)
        load_folder(photos)
    _check(folder, overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror}; choose another place with --out") from error
    with folder_lock(folder):
        write_marker(folder, finished=False)
        _empty(folder)
        yield


def write_marker(folder: Path, finished: bool, **facts: Any) -> None:
    """Write demo.json: that this is a demonstration, whether it is finished, and facts of it.

    Raises:
        OutputError: it cannot be written.
    """
    write_file(folder / MARKER, (json.dumps({"finished": finished, **facts}, indent=2) + "\n").encode())


def _check_apart(folder: Path, photos: Path) -> None:
    ours, theirs = folder.resolve(), photos.resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise OutputError(f"{str(folder)!r} and the photos in {str(photos)!r} overlap: choose another place with --out")


def _check(folder: Path, overwrite: bool) -> None:
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MARKER).is_file():
        raise OutputError(f"{str(folder)!r} holds other things than a demo, and is left alone: choose another --out")
    if _is_finished(folder) and not overwrite:
        raise OutputError(
            f"{str(folder)!r} holds a finished demo: look at it, choose another --out, or add --overwrite"
        )


def _is_finished(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MARKER).read_bytes())["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _empty(folder: Path) -> None:
    """Remove what a demonstration made before; what someone else put there stays."""
    try:
        for path in (folder / name for name in _OURS):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot empty {str(folder)!r}: {error.strerror}; choose another --out") from error
