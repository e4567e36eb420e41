"""`cleaning.csv`: every move that cleaning and triage make, written down before it happens.

The journal is replaced whole and synced, so the journal is never half-written. The journal does not record whether a
move was made. A move counts as made if its destination exists, or if a later move took the file on from there. The
journal does record, in `moved_at`, whether the run of a move is finished.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path, PurePath

from roadclear.data.dataset import JOURNAL, RELABELLED
from roadclear.errors import DatasetError
from roadclear.utils.files import as_output_error, remove_half_written, sync_folder, write_file
from roadclear.utils.tables import csv_bytes, read_rows

__all__ = ["JOURNAL", "LABELLED", "QUARANTINE", "RELABELLED", "UNLABELLED", "Move", "read_journal", "write_journal"]

QUARANTINE = ".quarantine"
LABELLED = "labelled"
"""Reason of moves from a folder of unlabelled photos into the folder of a label."""
UNLABELLED = ".unlabelled"
"""Name under which a folder of unlabelled photos appears in the journal, as if it lay among the labels."""

_COLUMNS = ("moved_at", "reason", "detail", "label", "from", "to", "sha256", "kept")
_ADVICE = "no photo is lost: free space or make the folder writable, then try again"


@dataclass(frozen=True)
class Move:
    """One row of the journal. Paths are relative to the folder, with forward slashes.

    Attributes:
        moved_at: time of the move in UTC, as ISO 8601; "" until the run that moves the file, or moves the file back, is
            finished.
        reason: reason of cleaning or triage. A photo that is `RELABELLED` goes to the folder of another label, one that
            is `LABELLED` to the folder of its first label, every other photo to the quarantine.
        detail: the reason in words for a person.
        label: label of the photo before the move, or "".
        origin: path before the move (column "from").
        place: path after the move (column "to").
        sha256: SHA-256 of the file, in hex; "" where the file could not be read.
        kept: path of the copy that stays, or "".
    """

    moved_at: str
    reason: str
    detail: str
    label: str
    origin: str
    place: str
    sha256: str
    kept: str

    @property
    def is_from_unlabelled(self) -> bool:
        """Whether the photo came from a folder of unlabelled photos. Only `detail` tells from which one."""
        return self.origin.startswith(f"{UNLABELLED}/")


def read_journal(folder: Path) -> list[Move]:
    """Read the moves in a folder's journal. Without a journal there are no moves.

    Raises:
        DatasetError: the journal cannot be read, is damaged, or names a place outside the folder.
    """
    path = folder / JOURNAL
    remove_half_written(path)
    if os.path.lexists(path) and not path.is_dir() and not path.is_file():  # opening a pipe would wait for ever
        raise _damaged(path, "no file")
    try:
        header, *rows = read_rows(path, strict=True)
        moves = [Move(*row) for row in rows]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}; make it readable, then try again") from error
    except (csv.Error, TypeError, ValueError) as error:
        raise _damaged(path, "a row that does not fit") from error
    if tuple(header) != _COLUMNS:
        raise _damaged(path, f"the columns {', '.join(header)[:80]!r}")
    for move in moves:
        quarantined = move.reason not in (RELABELLED, LABELLED)
        inside = _is_inside(move.place, quarantined) and _is_inside(move.origin, quarantined=False)
        if not inside or move.place.startswith(f"{UNLABELLED}/"):
            raise _damaged(path, f"a move from {move.origin!r} to {move.place!r}")
    return moves


def write_journal(folder: Path, moves: Sequence[Move]) -> None:
    """Replace a folder's journal. The journal is on disk when this returns; without moves the journal is removed.

    Raises:
        OutputError: the journal cannot be written. The journal before is unharmed.
    """
    path = folder / JOURNAL
    with as_output_error(path, _ADVICE):
        if moves:
            write_file(path, csv_bytes(_COLUMNS, map(astuple, moves)), _ADVICE)
        else:
            path.unlink(missing_ok=True)
        # The name of the new journal is on disk before anything is moved by it.
        sync_folder(folder)


def _damaged(path: Path, found: str) -> DatasetError:
    return DatasetError(
        f"expected in {str(path)!r} what `roadclear clean` wrote there, found {found}: put the original back, or "
        f"move the photos out of {QUARANTINE} by hand"
    )


def _is_inside(name: str, quarantined: bool) -> bool:
    """Whether a path stays inside the folder, on its side of the quarantine."""
    path = PurePath(name)
    if path.is_absolute() or path.drive or ".." in path.parts or len(path.parts) < 2:
        return False
    if path.as_posix() != name or "\0" in name:
        return False
    return (path.parts[0] == QUARANTINE) == quarantined
