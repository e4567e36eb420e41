"""Decisions are carried out: photos go to the folder of the other label, or to the quarantine."""

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

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
        journal = read_journal(folder)
        moved = {(move.origin, move.sha256, move.reason) for move in journal}
        left: list[NotMoved] = []
        moves: list[Move] = []
        reverted: list[Move] = []
        earlier = 0
        for decision, photo in match(decisions, load_folder(folder), path):
            if photo is None and (decision.file, decision.sha256, _reason(decision)) in moved:
                earlier += 1
            elif photo is None:
                left.append(NotMoved(decision.file, "is gone"))
            elif fault := _fault(decision, photo):
                left.append(NotMoved(decision.file, fault))
            elif behind_a_link(held, photo.file):
                left.append(NotMoved(decision.file, BEHIND_A_LINK))
            elif opposite := _opposite(held, decision, photo, journal):
                reverted.append(opposite)
            else:
                moves.append(_plan(held, decision, photo, [*journal, *moves]))
        failed = carry_out(held, moves, reverted)
    stayed = {one.file for one in failed}
    done = [move.reason for move in moves if move.origin not in stayed]
    done += [move.reason for move in reverted if move.place not in stayed]
    return Applied(done.count(RELABELLED), done.count(SET_ASIDE), earlier, (*left, *failed))


def undo(folder: str | os.PathLike[str]) -> Restoring:
    """Revert the moves of decisions since the folder was last cleaned, the latest first.

    Raises:
        DatasetError: the folder does not exist, or the journal is damaged.
        OutputError: another process works on the folder, or the folder cannot be written.
    """
    with locked(existing_folder(folder)) as held:
        settle(held)
        return Restoring(*restore(held, only=(RELABELLED, SET_ASIDE)))


def _reason(decision: Decision) -> str:
    return SET_ASIDE if decision.label is None else RELABELLED


def _fault(decision: Decision, photo: LabelledPhoto) -> str | None:
    """Return why a photo must stay where it is, or None."""
    try:
        sha256 = hashlib.sha256(read_bytes(photo.path)).hexdigest()
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
    wanted = PurePosixPath(*part, label, name)
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
