"""Decisions are carried out: photos go to the folder of the other label, or to the quarantine."""

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from roadclear.curation.clean import Restoring, existing_folder
from roadclear.curation.decisions import Decision, match, read_decisions
from roadclear.curation.journal import Move, read_journal
from roadclear.curation.moves import (
    BEHIND_A_LINK,
    NotMoved,
    behind_a_link,
    carry_out,
    locked,
    quarantine_place,
    restore,
    settle,
)
from roadclear.data.dataset import RELABELLED, LabelledPhoto, load_folder
from roadclear.errors import PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.held_folder import HeldFolder

SET_ASIDE = "set-aside"
"""Reason, in journal and quarantine, of photos that a person set aside."""


@dataclass(frozen=True)
class Applied:
    """Result of applying decisions.

    Attributes:
        relabelled: number of photos that were moved to the other label.
        set_aside: number of photos that were moved to the quarantine.
        earlier: number of photos that these decisions had moved before.
        left: photos that were to be moved and were not.
    """

    relabelled: int
    set_aside: int
    earlier: int
    left: tuple[NotMoved, ...]


@dataclass(frozen=True)
class Decided:
    """What decisions did.

    Attributes:
        applied: counts, and photos that stayed.
        made: moves that were made.
        reverted: earlier moves that were reverted in place of new ones.
    """

    applied: Applied
    made: tuple[Move, ...]
    reverted: tuple[Move, ...]


def apply_decisions(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> Applied:
    """Carry out a table of decisions. A table with an error is refused whole.

    Safe to interrupt: a photo is at its old or its new path. The next `apply_decisions`, `undo` or cleaning first rolls
    back the interrupted run. Nothing is overwritten: where a name is taken under the other label, the photo gets a free
    name. A photo that is gone or has changed is left alone and listed. Applying a table again changes nothing.

    Args:
        folder: folder of photos, see `roadclear.data.dataset`. In split folders photos stay in their split.
        path: file of the table, see `roadclear.curation.decisions`.

    Raises:
        DatasetError: the table cannot be read or has an error, the folder does not have two labels, or the journal is
            damaged. Nothing was moved.
        OutputError: another process works on the folder, or the folder cannot be written.
    """
    decisions = read_decisions(path)
    folder = existing_folder(folder)
    with locked(folder) as held:
        settle(held)
        return decide(held, match(decisions, load_folder(folder), path)).applied


def decide(held: HeldFolder, decisions: Sequence[tuple[Decision, LabelledPhoto | None]]) -> Decided:
    """Carry out decisions. The caller holds the lock of the folder, and has settled the folder.

    Args:
        held: folder to move files in.
        decisions: decisions, each with its photo; None where the file is gone.

    Raises:
        DatasetError: the journal is damaged.
        OutputError: the journal cannot be written.
    """
    journal = read_journal(held.path)
    moved = {(move.origin, move.sha256, move.reason) for move in journal}
    left: list[NotMoved] = []
    moves: list[Move] = []
    reverted: list[Move] = []
    earlier = 0
    for decision, photo in decisions:
        if photo is None and (decision.file, decision.sha256, _reason(decision)) in moved:
            earlier += 1
        elif photo is None:
            left.append(NotMoved(decision.file, "is gone"))
        elif why := fault(decision, photo.path):
            left.append(NotMoved(decision.file, why))
        elif behind_a_link(held, photo.file):
            left.append(NotMoved(decision.file, BEHIND_A_LINK))
        elif opposite := _opposite(held, decision, photo, journal):
            reverted.append(opposite)
        else:
            moves.append(_plan(held, decision, photo, [*journal, *moves]))
    failed = carry_out(held, moves, reverted)
    stayed = {one.file for one in failed}
    made = tuple(move for move in moves if move.origin not in stayed)
    undone = tuple(move for move in reverted if move.place not in stayed)
    done = [move.reason for move in (*made, *undone)]
    applied = Applied(done.count(RELABELLED), done.count(SET_ASIDE), earlier, (*left, *failed))
    return Decided(applied, made, undone)


def undo(folder: str | os.PathLike[str]) -> Restoring:
    """Revert the moves of decisions since the folder was last cleaned, the latest first.

    Raises:
        DatasetError: the folder does not exist, or the journal is damaged.
        OutputError: another process works on the folder, or the folder cannot be written.
    """
    with locked(existing_folder(folder)) as held:
        settle(held)
        return Restoring(*restore(held, _latest_decisions))


def _latest_decisions(moves: Sequence[Move]) -> list[Move]:
    """Choose the moves since the latest one that no decision on a labelled photo made."""
    latest = itertools.takewhile(
        lambda move: move.reason in (RELABELLED, SET_ASIDE) and not move.is_from_unlabelled, reversed(moves)
    )
    return list(latest)


def _reason(decision: Decision) -> str:
    return SET_ASIDE if decision.label is None else RELABELLED


def fault(decision: Decision, path: Path) -> str | None:
    """Return why the photo of a decision must stay at a path, or None."""
    try:
        sha256 = hashlib.sha256(read_bytes(path)).hexdigest()
    except PhotoError as error:
        return error.reason
    return None if sha256 == decision.sha256 else "is not the photo that was looked at: triage again"


def _opposite(folder: HeldFolder, decision: Decision, photo: LabelledPhoto, journal: Sequence[Move]) -> Move | None:
    """Return the move that brought a photo here from its new label, if that move can be reverted instead."""
    for move in reversed(journal):
        if (move.reason, move.place, move.sha256) == (RELABELLED, photo.file, decision.sha256):
            free = not folder.exists(move.origin)
            return move if move.label == decision.label and free else None
    return None


def _plan(folder: HeldFolder, decision: Decision, photo: LabelledPhoto, known: Sequence[Move]) -> Move:
    if decision.label is None:
        place = quarantine_place(folder, SET_ASIDE, photo.file)
    else:
        place = _free_name(folder, photo, decision.label, known)
    detail = f"decided, instead of {photo.label}"
    return Move("", _reason(decision), detail, photo.label, photo.file, place, decision.sha256, kept="")


def _free_name(folder: HeldFolder, photo: LabelledPhoto, label: str, known: Sequence[Move]) -> str:
    """Return the photo's path under another label, with a number behind the name where the path is not free."""
    *part, _, name = _split_path(photo)
    return free_place(folder, PurePosixPath(*part, label, name), known)


def free_place(folder: HeldFolder, wanted: PurePosixPath, known: Sequence[Move]) -> str:
    """Return a path that no file has and no move names: the wanted one, or one with a number behind the name.

    Args:
        folder: folder that the path is relative to.
        wanted: wanted path.
        known: moves in the journal, and moves that are planned.
    """
    taken = {move.origin for move in known} | {move.place for move in known}
    for number in itertools.count(1):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        if place.as_posix() not in taken and not _is_taken(folder, place.as_posix()):
            return place.as_posix()
    raise AssertionError("unreachable")


def _is_taken(folder: HeldFolder, place: str) -> bool:
    """Whether there is something at a place. Behind a link no place is looked for: the move through it is refused."""
    return not behind_a_link(folder, place) and folder.exists(place)


def _split_path(photo: LabelledPhoto) -> tuple[str, ...]:
    """Return the folders above the label, the label, and the rest of a photo's path."""
    parts = PurePosixPath(photo.file).parts
    above = 0 if photo.split is None else 1
    return (*parts[:above], parts[above], "/".join(parts[above + 1 :]))
