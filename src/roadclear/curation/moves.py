"""Files are moved out of the way, and back. Every step is a rename, so every file exists once at every moment.

A file `crossing/a.jpg` goes to `.quarantine/<reason>/crossing/a.jpg`: on the same file system, and hidden from
whatever lists the folder's labels. Triage moves files by the same journal, some of them to the other label's folder.

A run is all or nothing, since what it finds is true of the folder as it was: of two copies under both labels, the one
that a kill left behind would pass for a sound photo. So what a kill interrupted is undone before anything else.
"""

import hashlib
import itertools
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from roadclear.curation.journal import QUARANTINE, Move, read_journal, write_journal
from roadclear.curation.rules import Finding
from roadclear.data.dataset import JOURNAL, RELABELLED
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import read_bytes


@dataclass(frozen=True)
class NotMoved:
    """A file that stayed where it was, though it was to be moved.

    Attributes:
        file: where it is, relative to the folder.
        why: for a person.
    """

    file: str
    why: str


def settle(folder: Path) -> None:
    """Undo what an interrupted run had moved. The caller holds the folder's lock.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal cannot be written.
    """
    _check_quarantine(folder)
    moves = read_journal(folder)
    unfinished = [move for move in moves if not move.moved_at]
    if unfinished:
        _undo(folder, unfinished)
        _conclude(folder, moves)


def quarantine(folder: Path, findings: Sequence[Finding]) -> tuple[NotMoved, ...]:
    """Move what does not belong. The caller holds the lock of the folder, which is settled.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal or the quarantine cannot be written.
    """
    return carry_out(folder, _plan(folder, findings))


def carry_out(folder: Path, moves: Sequence[Move], reverted: Collection[Move] = ()) -> tuple[NotMoved, ...]:
    """Make moves, and take earlier ones back. The caller holds the lock of the folder, which is settled.

    All of it is in the journal before the first move is made. A file that is gone by now is passed over.

    Args:
        folder: to move files in.
        moves: to places that are free, and that no move in the journal is from: else a photo at home could not be
            told from one that went out and came back.
        reverted: moves in the journal.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal cannot be written.
    """
    before = _made(folder, read_journal(folder))
    write_journal(folder, [*(replace(move, moved_at="") if move in reverted else move for move in before), *moves])
    failures = {move: failure for move in moves if (failure := _move(folder, move.origin, move.place)) is not None}
    left = _undo(folder, [move for move in before if move in reverted])
    _conclude(folder, [*before, *(move for move in moves if move not in failures)])
    return (*failures.values(), *left)


def restore(folder: Path, only: Collection[str] | None = None) -> tuple[int, tuple[NotMoved, ...]]:
    """Move everything back to where it was, the latest first. The caller holds the folder's lock.

    Nothing is overwritten: where something has since appeared in a photo's place, the photo stays where it is now,
    and in the journal.

    Args:
        folder: that files were moved in.
        only: go back only as far as the latest moves are for one of these reasons; None for all moves. The folder is
            settled then.

    Returns:
        How many files were moved back, and those that were not.

    Raises:
        DatasetError: the journal is damaged, or gone while the quarantine holds something.
        OutputError: the journal cannot be written.
    """
    _check_quarantine(folder)
    moves = _made(folder, read_journal(folder))
    latest = list(itertools.takewhile(lambda move: only is None or move.reason in only, reversed(moves)))[::-1]
    earlier = moves[: len(moves) - len(latest)]
    write_journal(folder, [*earlier, *(replace(move, moved_at="") for move in latest)])
    left = _undo(folder, latest)
    remaining = _conclude(folder, moves)
    if not remaining and (folder / QUARANTINE).is_dir():
        raise DatasetError(
            f"expected what {str(folder / QUARANTINE)!r} holds to be listed in {JOURNAL}, found files that are not: "
            f"move them back by hand, from {QUARANTINE}/<reason>/<label>/ to <label>/"
        )
    return len(moves) - len(remaining), tuple(left)


def _undo(folder: Path, moves: Sequence[Move]) -> list[NotMoved]:
    """Move back what was moved, the latest first; what could not be, and why."""
    left: list[NotMoved] = []
    for move in reversed(_made(folder, moves)):
        if move.reason == RELABELLED and os.path.lexists(folder / move.place) and not _is_unchanged(folder, move):
            left.append(NotMoved(move.place, f"is not the photo that was moved there: move it by hand, see {JOURNAL}"))
        elif failure := _move(folder, move.place, move.origin):
            left.append(failure)
    return left


def _check_quarantine(folder: Path) -> None:
    path = folder / QUARANTINE
    if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
        raise OutputError(f"expected a folder at {str(path)!r}, found a file or a link: move it away")


def _made(folder: Path, moves: Sequence[Move]) -> list[Move]:
    """The moves that have been made and not been undone: in thought, all are undone, the latest first."""
    present: dict[str, bool] = {}
    made: list[Move] = []
    for move in reversed(moves):
        if present.get(move.place, os.path.lexists(folder / move.place)):
            made.append(move)
            present |= {move.place: False, move.origin: True}
    return made[::-1]


def _conclude(folder: Path, moves: Sequence[Move]) -> list[Move]:
    """Leave in the journal the moves that have been made, each with its time, and in quarantine what they moved."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = [replace(move, moved_at=move.moved_at or now) for move in _made(folder, moves)]
    write_journal(folder, made)
    moved = {folder / move.place for move in made}
    for path, _, _ in os.walk(folder / QUARANTINE, topdown=False):
        if moved.isdisjoint((Path(path), *Path(path).parents)):  # a moved folder may be empty
            with suppress(OSError):
                Path(path).rmdir()
    return made


def _is_unchanged(folder: Path, move: Move) -> bool:
    """Whether a moved photo has the bytes that it had."""
    try:
        return hashlib.sha256(read_bytes(folder / move.place)).hexdigest() == move.sha256
    except PhotoError:
        return False


def _plan(folder: Path, findings: Sequence[Finding]) -> list[Move]:
    return [
        Move(
            moved_at="",
            reason=finding.reason,
            detail=finding.detail,
            label=finding.photo.label,
            origin=finding.photo.file,
            place=quarantine_place(folder, finding.reason, finding.photo.file),
            sha256=finding.sha256,
            kept=finding.kept or "",
        )
        for finding in findings
    ]


def quarantine_place(folder: Path, reason: str, file: str) -> str:
    """A free place for a file, in a folder that is there. Files of one run never meet, those of an earlier one may.

    Raises:
        OutputError: no folder can be made.
    """
    for number in itertools.count(1):
        suffix = f"-{number}" if number > 1 else ""
        place = f"{QUARANTINE}/{reason}{suffix}/{file}"
        if os.path.lexists(folder / place):
            continue
        try:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            continue
        except OSError as error:
            raise OutputError(
                f"cannot make folders in {str(folder / QUARANTINE)!r}: {error.strerror}; nothing was moved: free "
                "space or make the folder writable, then try again"
            ) from error
        return place
    raise AssertionError("unreachable")


def _move(folder: Path, source: str, target: str) -> NotMoved | None:
    """Rename; where that fails and the file is still there, why."""
    if os.path.lexists(folder / source) and os.path.lexists(folder / target):
        return NotMoved(source, f"there is another {target} now: move one of them away")
    try:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / source).rename(folder / target)
    except OSError as error:
        if os.path.lexists(folder / source):
            return NotMoved(source, f"cannot be moved: {os.strerror(error.errno or 0)}")
    return None
