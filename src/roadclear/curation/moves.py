"""Files are moved out of the way, and back. Every step is a rename, so every file exists once at every moment.

A file `crossing/a.jpg` goes to `.quarantine/<reason>/crossing/a.jpg`: on the same file system, and hidden from
programs that list the folder's labels. Triage moves files by the same journal, some to the folder of the other label.

A run is all or nothing, because its findings hold only for the folder as it was. If a kill left one of two copies under
both labels behind, the remaining copy would pass for a sound photo. So an interrupted run is undone first.
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
        file: path of the file, relative to the folder.
        why: the reason in words for a person.
    """

    file: str
    why: str


def settle(folder: Path) -> None:
    """Undo the moves of an interrupted run. The caller holds the folder's lock.

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
    """Move findings to the quarantine. The caller holds the lock of the folder, and has settled the folder.

    Returns:
        Files that were not moved, with reasons.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal or the quarantine cannot be written.
    """
    return carry_out(folder, _plan(folder, findings))


def carry_out(folder: Path, moves: Sequence[Move], reverted: Collection[Move] = ()) -> tuple[NotMoved, ...]:
    """Make moves, and revert earlier moves. The caller holds the lock of the folder, and has settled the folder.

    All moves are in the journal before the first move is made. A file that is gone by now is passed over.

    Args:
        folder: folder to move files in.
        moves: moves to make. Destinations must not exist and must not be the origin of a journalled move. Otherwise a
            photo that never moved looks like one that moved and returned.
        reverted: moves in the journal to revert.

    Returns:
        Files that were not moved, with reasons.

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
    """Revert all moves, the latest first. The caller holds the folder's lock.

    Nothing is overwritten. If something has since appeared in the old place of a photo, the photo stays where it is,
    and the move stays in the journal.

    Args:
        folder: folder that files were moved in.
        only: reasons; going back ends at the latest move for another reason. None for all moves. With reasons, the
            caller has settled the folder.

    Returns:
        Number of files that were moved back, and the files that were not.

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
    """Move files back, the latest first. Return the files that could not be moved, with reasons."""
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
    """Return the moves that were made and not undone, by undoing all moves in thought, the latest first."""
    present: dict[str, bool] = {}
    made: list[Move] = []
    for move in reversed(moves):
        if present.get(move.place, os.path.lexists(folder / move.place)):
            made.append(move)
            present |= {move.place: False, move.origin: True}
    return made[::-1]


def _conclude(folder: Path, moves: Sequence[Move]) -> list[Move]:
    """Keep in the journal only the moves that were made, with times, and in quarantine only the files they moved."""
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
    """Whether a moved photo has the bytes it had before the move."""
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
    """Return a free place for a file in the quarantine, and make its folder.

    Files of one run never collide. Files of an earlier run may be in the way.

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
    """Rename a file. If the file is still there afterwards, return the reason."""
    if os.path.lexists(folder / source) and os.path.lexists(folder / target):
        return NotMoved(source, f"there is another {target} now: move one of them away")
    try:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / source).rename(folder / target)
    except OSError as error:
        if os.path.lexists(folder / source):
            return NotMoved(source, f"cannot be moved: {os.strerror(error.errno or 0)}")
    return None
