"""Files are moved out of the way, and back. Every step is a rename, so every file exists once at every moment.

Files are moved below the handle of the folder, see `roadclear.utils.held_folder`. A link among the folders of a photo,
or in the quarantine, leads no move out of the folder.

A file `crossing/a.jpg` goes to `.quarantine/<reason>/crossing/a.jpg`: on the same file system, and hidden from
programs that list the folder's labels. Triage moves files by the same journal, some to the folder of the other label,
some from a folder of unlabelled photos.

A run is all or nothing, because its findings hold only for the folder as it was. If a kill left one of two copies under
both labels behind, the remaining copy would pass for a sound photo. So an interrupted run is undone first. Moves from a
folder of unlabelled photos stand each for itself, and are not undone: that folder may not be at hand.
"""

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from roadclear.curation.journal import LABELLED, QUARANTINE, Move, read_journal, write_journal
from roadclear.curation.mount import reaches
from roadclear.curation.rules import Finding
from roadclear.data.dataset import JOURNAL, RELABELLED
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.held_folder import HeldFolder, LinkError, hold
from roadclear.utils.locks import folder_lock

_AMONG_LABELS = (RELABELLED, LABELLED)
BEHIND_A_LINK = "lies behind a link to a folder: move it by hand"
"""Why a file stays that a link among its folders would lead out of the folder of photos."""


@dataclass(frozen=True)
class NotMoved:
    """A file that stayed where it was, though it was to be moved.

    Attributes:
        file: path of the file, relative to the folder.
        why: the reason in words for a person.
    """

    file: str
    why: str


@contextmanager
def locked(path: Path) -> Iterator[HeldFolder]:
    """Lock a folder and hold it open, to move files in it.

    Raises:
        DatasetError: a link stands where the journal expects a folder.
        OutputError: another process works on the folder, or the folder cannot be used.
    """
    with folder_lock(path):
        try:
            with hold(path) as folder:
                yield folder
        except LinkError as error:
            raise DatasetError(
                f"expected a folder at {str(path / error.filename)!r}, found a link: put the folder in its place, "
                "because files are never moved through links"
            ) from error
        except OSError as error:
            raise OutputError(
                f"cannot work in {str(path)!r}: {error.strerror}; no photo is lost: make the folder writable"
            ) from error


def settle(folder: HeldFolder) -> None:
    """Undo the moves of an interrupted run. The caller holds the folder's lock.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal cannot be written.
    """
    _check_quarantine(folder)
    moves = _journal(folder)
    unfinished = [move for move in moves if not move.moved_at]
    if unfinished:
        _undo(folder, [move for move in unfinished if not move.is_from_unlabelled])
        _conclude(folder, moves)


def quarantine(folder: HeldFolder, findings: Sequence[Finding]) -> tuple[NotMoved, ...]:
    """Move findings to the quarantine. The caller holds the lock of the folder, and has settled the folder.

    Returns:
        Files that were not moved, with reasons.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal or the quarantine cannot be written.
    """
    return carry_out(folder, _plan(folder, findings))


def carry_out(folder: HeldFolder, moves: Sequence[Move], reverted: Collection[Move] = ()) -> tuple[NotMoved, ...]:
    """Make moves, and revert earlier moves. The caller holds the lock of the folder, and has settled the folder.

    All moves are in the journal before the first move is made. A file that is gone by now is passed over. A file
    behind a link is left, and does not come into the journal.

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
    linked = {move for move in moves if behind_a_link(folder, move.origin) or behind_a_link(folder, move.place)}
    moves = [move for move in moves if move not in linked]
    before = _made(folder, _journal(folder))
    write_journal(folder.path, [*(replace(move, moved_at="") if move in reverted else move for move in before), *moves])
    failures = {move: failure for move in moves if (failure := _move(folder, move.origin, move.place)) is not None}
    left = _undo(folder, [move for move in before if move in reverted])
    _conclude(folder, [*before, *(move for move in moves if move not in failures)])
    return (*(NotMoved(move.origin, BEHIND_A_LINK) for move in linked), *failures.values(), *left)


def restore(
    folder: HeldFolder, choose: Callable[[Sequence[Move]], Collection[Move]]
) -> tuple[int, tuple[NotMoved, ...]]:
    """Revert moves, the latest first. The caller holds the folder's lock.

    Nothing is overwritten. If something has since appeared in the old place of a photo, the photo stays where it is,
    and the move stays in the journal.

    Args:
        folder: folder that files were moved in.
        choose: function that is given the moves that were made, and says which are to be reverted.

    Returns:
        Number of files that were moved back, and the files that were not.

    Raises:
        DatasetError: the journal is damaged, or gone while the quarantine holds something.
        OutputError: the journal cannot be written.
    """
    _check_quarantine(folder)
    moves = _made(folder, _journal(folder))
    chosen = choose(moves)
    write_journal(folder.path, [replace(move, moved_at="") if move in chosen else move for move in moves])
    left = _undo(folder, [move for move in moves if move in chosen])
    remaining = _conclude(folder, moves)
    if not remaining and folder.is_folder(QUARANTINE):
        raise DatasetError(
            f"expected what {str(folder.path / QUARANTINE)!r} holds to be listed in {JOURNAL}, found files that are "
            f"not: move them back by hand, from {QUARANTINE}/<reason>/<label>/ to <label>/"
        )
    return len(moves) - len(remaining), tuple(left)


def quarantine_place(folder: HeldFolder, reason: str, file: str) -> str:
    """Return a free place for a file in the quarantine, and make its folder.

    Files of one run never collide. Files of an earlier run may be in the way.

    Raises:
        OutputError: no folder can be made.
    """
    for number in itertools.count(1):
        suffix = f"-{number}" if number > 1 else ""
        place = f"{QUARANTINE}/{reason}{suffix}/{file}"
        try:
            if folder.exists(place):
                continue
            folder.make_parents(place)
        except (NotADirectoryError, LinkError):
            _check_quarantine(folder)
            continue
        except OSError as error:
            raise OutputError(
                f"cannot make folders in {str(folder.path / QUARANTINE)!r}: {error.strerror}; nothing was moved: free "
                "space or make the folder writable, then try again"
            ) from error
        return place
    raise AssertionError("unreachable")


def behind_a_link(folder: HeldFolder, file: str) -> bool:
    """Whether a folder on the way to a file is a link."""
    try:
        folder.exists(file)
    except LinkError:
        return True
    return False


def _journal(folder: HeldFolder) -> list[Move]:
    """Read the moves in the journal, and look at the folders that the moves name.

    A move through a link is refused here, and not only when the move is made: a place behind a link would look empty,
    so that the move would look like one that was undone, and would be struck from the journal.

    Raises:
        DatasetError: the journal is damaged.
        LinkError: a link stands where a move expects a folder.
    """
    moves = read_journal(folder.path)
    for move in moves:
        if not move.is_from_unlabelled:
            folder.exists(move.origin)
        folder.exists(move.place)
    return moves


def _undo(folder: HeldFolder, moves: Sequence[Move]) -> list[NotMoved]:
    """Move files back, the latest first. Return the files that could not be moved, with reasons."""
    left: list[NotMoved] = []
    for move in reversed(_made(folder, moves)):
        if not reaches(folder, move):
            left.append(NotMoved(move.place, f"was {move.detail}: put it back by roadclear triage with --unlabelled"))
        elif move.reason in _AMONG_LABELS and folder.exists(move.place) and not _is_unchanged(folder, move):
            left.append(NotMoved(move.place, f"is not the photo that was moved there: move it by hand, see {JOURNAL}"))
        elif failure := _move(folder, move.place, move.origin):
            left.append(failure)
    return left


def _check_quarantine(folder: HeldFolder) -> None:
    if folder.exists(QUARANTINE) and not folder.is_folder(QUARANTINE):
        raise OutputError(
            f"expected a folder at {str(folder.path / QUARANTINE)!r}, found a file or a link: move it away"
        )


def _made(folder: HeldFolder, moves: Sequence[Move]) -> list[Move]:
    """Return the moves that were made and not undone, by undoing all moves in thought, the latest first."""
    present: dict[str, bool] = {}
    made: list[Move] = []
    for move in reversed(moves):
        if present[move.place] if move.place in present else folder.exists(move.place):
            made.append(move)
            present |= {move.place: False, move.origin: True}
    return made[::-1]


def _conclude(folder: HeldFolder, moves: Sequence[Move]) -> list[Move]:
    """Keep in the journal only the moves that were made, with times, and in quarantine only the files they moved."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = [replace(move, moved_at=move.moved_at or now) for move in _made(folder, moves)]
    write_journal(folder.path, made)
    folder.remove_empty_folders(QUARANTINE, keep={move.place for move in made})  # a moved folder may be empty
    return made


def _is_unchanged(folder: HeldFolder, move: Move) -> bool:
    """Whether a moved photo has the bytes it had before the move."""
    try:
        return hashlib.sha256(read_bytes(folder.path / move.place)).hexdigest() == move.sha256
    except PhotoError:
        return False


def _plan(folder: HeldFolder, findings: Sequence[Finding]) -> list[Move]:
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


def _move(folder: HeldFolder, source: str, target: str) -> NotMoved | None:
    """Move a file. If the file is still there afterwards, return the reason."""
    try:
        folder.move(source, target)
    except FileExistsError:
        return NotMoved(source, f"there is another {target} now: move one of them away")
    except LinkError:
        return NotMoved(source, BEHIND_A_LINK)
    except OSError as error:
        if folder.exists(source):
            return NotMoved(source, f"cannot be moved: {error.strerror}")
    return None
