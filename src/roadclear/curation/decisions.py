"""`decisions.csv`, or `triage.csv` filled in: a person's decisions, checked whole before any file is moved.

Three columns are read: `file`, a path relative to the folder; `sha256` of the file that the person looked at; and
`decision`, which is "keep", "move to <label>", "set aside", or nothing. Other columns are passed over.
"""

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from roadclear.data.dataset import SPLIT_FOLDERS, Dataset, LabelledPhoto
from roadclear.errors import DatasetError
from roadclear.utils.tables import read_records

COLUMNS = ("file", "sha256", "decision")
KEEP = "keep"
SET_ASIDE = "set aside"
_MOVE_TO = "move to "


@dataclass(frozen=True)
class Decision:
    """Decision to move a photo.

    Attributes:
        file: path relative to the folder, with forward slashes.
        sha256: SHA-256 of the file that the person looked at, in hex.
        label: new label, or None to set the photo aside.
    """

    file: str
    sha256: str
    label: str | None


def move_to(label: str) -> str:
    """Return the decision to move a photo to a label, in words."""
    return _MOVE_TO + label


def read_decisions(path: str | os.PathLike[str]) -> list[Decision]:
    """Read the decisions to move photos. Photos that are kept, or not decided on, are left out.

    Raises:
        DatasetError: the table cannot be read, lacks a column, or has an unknown decision.
    """
    rows = _rows(Path(path))
    decisions: list[Decision] = []
    seen: set[str] = set()
    for row in rows:
        file, sha256, decision = (row[column].strip() if column != "file" else row[column] for column in COLUMNS)
        if file in seen:
            raise _refused(path, f"expected every file once, found {file!r} twice")
        seen.add(file)
        if decision in ("", KEEP):
            continue
        if decision != SET_ASIDE and not decision.startswith(_MOVE_TO):
            wanted = f"{KEEP!r}, {move_to('LABEL')!r}, {SET_ASIDE!r} or nothing"
            raise _refused(path, f"expected {wanted} for {file!r}, found {decision!r}")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise _refused(path, f"expected the SHA-256 of {file!r} in hex, found {sha256!r}")
        decisions.append(Decision(file, sha256, None if decision == SET_ASIDE else decision.removeprefix(_MOVE_TO)))
    return decisions


def match(
    decisions: Sequence[Decision], dataset: Dataset, path: str | os.PathLike[str]
) -> list[tuple[Decision, LabelledPhoto | None]]:
    """Find the photo of each decision. The photo is None where the file is gone by now.

    Args:
        decisions: all decisions of a table.
        dataset: photos of the folder as they are now.
        path: file of the table, for messages.

    Raises:
        DatasetError: a decision names an unknown label, or a file that was never a photo of the folder.
    """
    photos = {photo.file: photo for photo in dataset.photos}
    for decision in decisions:
        photo = photos.get(decision.file)
        if photo is None and not _could_have_been(decision.file, dataset):
            raise _refused(path, f"expected photos of {str(dataset.root)!r}, found {decision.file!r}")
        if decision.label is not None and decision.label not in dataset.labels:
            known = " or ".join(repr(move_to(label)) for label in dataset.labels)
            raise _refused(path, f"expected {known} for {decision.file!r}, found {move_to(decision.label)!r}")
        if photo is not None and decision.label == photo.label:
            raise _refused(path, f"expected another label for {decision.file!r}, found the one that it has")
    return [(decision, photos.get(decision.file)) for decision in decisions]


def _could_have_been(file: str, dataset: Dataset) -> bool:
    """Whether a photo of the folder could have had this path, and nothing is there now."""
    path = PurePosixPath(file)
    parts = path.parts[1:] if path.parts and path.parts[0].lower() in SPLIT_FOLDERS else path.parts
    if path.is_absolute() or path.as_posix() != file or any(part.startswith(".") for part in path.parts):
        return False
    return len(parts) >= 2 and parts[0] in dataset.labels and not os.path.lexists(dataset.root / file)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        columns, rows = read_records(path, strict=True)
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}; nothing was moved: check the name") from error
    except csv.Error as error:
        raise _refused(path, f"expected a CSV table, found {error}") from error
    if not set(COLUMNS) <= set(columns):
        raise _refused(path, f"expected commas, and the columns {', '.join(COLUMNS)}, found {columns}")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise _refused(path, f"expected {len(columns)} cells in row {number}, found fewer or more")
    return rows


def _refused(path: str | os.PathLike[str], what: str) -> DatasetError:
    return DatasetError(f"{what}, in {os.fspath(path)!r}: nothing was moved; correct it, or triage again")
