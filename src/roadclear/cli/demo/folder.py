"""The folder of a demonstration: which folders are accepted, and what is replaced in them."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roadclear.data.dataset import load_folder
from roadclear.errors import OutputError
from roadclear.utils.files import lies_in, write_file
from roadclear.utils.locks import folder_lock

MARKER = "demo.json"

_OURS = ("photos", "planted.csv", "triage", "decisions.csv", "run", "grid.png", "heatmaps")


@contextmanager
def claimed(folder: Path, photos: Path | None, overwrite: bool) -> Iterator[None]:
    """Lock a folder for a demonstration, and remove the results of an earlier demonstration.

    An interrupted demonstration starts again from the beginning, because all of its results can be made again.

    Args:
        folder: folder of the demonstration, which is made if needed.
        photos: folder of the user's photos, which must stay unchanged, or None.
        overwrite: whether a finished demonstration is replaced.

    Raises:
        DatasetError: the photos are not a folder of two labels.
        OutputError: the folder has other contents, has a finished demonstration and `overwrite` is false, is in use,
            overlaps with the photos, or cannot be written.
    """
    if photos is not None:
        _check_apart(folder, photos)
        load_folder(photos)
    _check(folder, overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(folder)!r}: {error.strerror}; choose another folder with --out"
        ) from error
    with folder_lock(folder):
        write_marker(folder, finished=False)
        _empty(folder)
        yield


def write_marker(folder: Path, finished: bool, **facts: Any) -> None:
    """Write demo.json, which marks a folder as a demonstration, says whether it is finished, and has facts about it.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(folder / MARKER, (json.dumps({"finished": finished, **facts}, indent=2) + "\n").encode())


def _check_apart(folder: Path, photos: Path) -> None:
    if lies_in(folder, photos) or lies_in(photos, folder):
        raise OutputError(
            f"{str(folder)!r} and the photos in {str(photos)!r} overlap: choose another folder with --out"
        )


def _check(folder: Path, overwrite: bool) -> None:
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MARKER).is_file():
        raise OutputError(
            f"{str(folder)!r} has other contents than a demo, and is left unchanged: choose another --out"
        )
    if _is_finished(folder) and not overwrite:
        raise OutputError(
            f"{str(folder)!r} has a finished demo: open its report, choose another --out, or add --overwrite"
        )


def _is_finished(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MARKER).read_bytes())["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _empty(folder: Path) -> None:
    """Remove the results of an earlier demonstration. Other files stay."""
    try:
        for path in (folder / name for name in _OURS):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot empty {str(folder)!r}: {error.strerror}; choose another --out") from error
