"""Unlabelled photos get labels: photos that a person decided on move into the folders of labels, and back.

`cleaning.csv` in the folder of labels holds every move before it is made; see `roadclear.curation.mount`.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from roadclear.curation.apply import SET_ASIDE, fault, free_place
from roadclear.curation.clean import Restoring
from roadclear.curation.decisions import Decision, read_decisions
from roadclear.curation.journal import LABELLED, Move, read_journal
from roadclear.curation.mount import MountedFolder, by_person, check_places, in_journal
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
from roadclear.data.dataset import SPLIT_FOLDERS
from roadclear.errors import DatasetError, OutputError
from roadclear.utils.files import as_output_error
from roadclear.utils.held_folder import LinkError, hold

_LABELS = 2


@dataclass(frozen=True)
class Labelled:
    """Result of applying decisions on unlabelled photos.

    Attributes:
        labelled: number of photos that were moved to the folder of a label.
        set_aside: number of photos that were moved to the quarantine.
        earlier: number of photos that these decisions had moved before.
        left: photos that were to be moved and were not.
    """

    labelled: int
    set_aside: int
    earlier: int
    left: tuple[NotMoved, ...]


def label_photos(
    photos: str | os.PathLike[str], unlabelled: str | os.PathLike[str], path: str | os.PathLike[str]
) -> Labelled:
    """Move unlabelled photos into the folders of the labels that a table of decisions names.

    A photo `frames/a.jpg` goes to `<label>/frames/a.jpg`, or to `.quarantine/set-aside/frames/a.jpg`, in the folder of
    labelled photos. That folder and its label folders are made where they are missing. A table with an error is
    refused whole. Nothing is overwritten: where a name is taken, the photo gets a free name. A photo that is gone or
    has changed is left alone and listed. A kill leaves each photo at its old or its new path; applying again does the
    rest.

    Args:
        photos: folder with one subfolder of photos per label.
        unlabelled: folder of unlabelled photos.
        path: file of the table, see `roadclear.curation.decisions`.

    Raises:
        DatasetError: the table cannot be read or has an error, photos cannot be moved between the folders, there would
            be more than two labels, or the journal is damaged. Nothing was moved.
        OutputError: another process works on the folder of labelled photos, or a folder cannot be written.
    """
    decisions = read_decisions(path)
    photos, unlabelled = Path(photos), Path(unlabelled)
    check_places(photos, unlabelled)
    _check_labels(photos, {one.label for one in decisions if one.label is not None}, path)
    with as_output_error(photos):
        photos.mkdir(parents=True, exist_ok=True)
    with both_held(photos, unlabelled) as held:
        settle(held)
        return _carry_out(held, decisions)


def unlabel_photos(photos: str | os.PathLike[str], unlabelled: str | os.PathLike[str]) -> Restoring:
    """Move photos back to the folder of unlabelled photos that they came from.

    A photo that another command moved on is left where it is.

    Raises:
        DatasetError: a folder does not exist, photos cannot be moved between the folders, or the journal is damaged.
        OutputError: another process works on the folder of labelled photos, or a folder cannot be written.
    """
    photos, unlabelled = Path(photos), Path(unlabelled)
    check_places(photos, unlabelled)
    if not os.path.isdir(photos):  # noqa: PTH112, a path that is too long is no folder, and no error
        raise DatasetError(f"expected a folder of photos, found none at {str(photos)!r}: check the name")
    moved_on: list[NotMoved] = []

    def choose(moves: Sequence[Move]) -> list[Move]:
        origins = {move.origin for move in moves}
        here = [move for move in moves if move.is_from_unlabelled and move.detail == held.detail]
        moved_on.extend(
            NotMoved(move.place, "was moved on since: take that move back first")
            for move in here
            if move.place in origins
        )
        return [move for move in here if move.place not in origins]

    with both_held(photos, unlabelled) as held:
        settle(held)
        restored, left = restore(held, choose)
    return Restoring(restored, (*moved_on, *_by_person(left, unlabelled)))


@contextmanager
def both_held(photos: Path, unlabelled: Path) -> Iterator[MountedFolder]:
    """Lock the folder of labelled photos, and hold both folders open.

    Args:
        photos: folder with one subfolder of photos per label.
        unlabelled: folder of unlabelled photos.

    Raises:
        DatasetError, OutputError: see `roadclear.curation.moves.locked`.
    """
    with locked(photos) as held:
        try:
            with hold(unlabelled) as second:
                yield MountedFolder(held, second)
        except LinkError:
            raise
        except OSError as error:
            raise OutputError(
                f"cannot work in {str(unlabelled)!r}: {error.strerror}; no photo is lost: make the folder writable"
            ) from error


def _check_labels(photos: Path, named: set[str], path: str | os.PathLike[str]) -> None:
    """Refuse labels that cannot be names of folders, and more than two labels.

    Raises:
        DatasetError: see `label_photos`.
    """
    found: set[str] = set()
    if os.path.isdir(photos):  # noqa: PTH112, likewise
        with as_output_error(photos):
            found = {one.name for one in photos.iterdir() if one.is_dir() and not one.name.startswith(".")}
    found.discard("__MACOSX")
    splits = sorted(name for name in found if name.lower() in SPLIT_FOLDERS)
    if splits:
        raise DatasetError(
            f"expected label folders in {str(photos)!r}, found the split folder {splits[0]!r}: nothing was moved; name "
            "the folder of the split that the photos are for"
        )
    for label in sorted(named - found):
        is_name = PurePosixPath(label).name == label and not label.startswith(".") and "\\" not in label
        printed = label.isprintable() and label == label.encode(errors="replace").decode()
        if not (is_name and printed) or label.lower() in SPLIT_FOLDERS:
            raise DatasetError(
                f"expected labels that can be names of folders in {os.fspath(path)!r}, found {label!r}: nothing was "
                "moved; correct the table, or triage again"
            )
    labels = sorted(found | named)
    if len(labels) > _LABELS:
        listed = ", ".join(map(repr, labels[:6]))
        raise DatasetError(
            f"expected two labels in {str(photos)!r} and {os.fspath(path)!r} together, found {len(labels)} ({listed}): "
            "nothing was moved; correct the table, or name another folder"
        )


def _carry_out(held: MountedFolder, decisions: Sequence[Decision]) -> Labelled:
    journal = read_journal(held.path)
    moved = {(move.origin, move.sha256) for move in journal if move.detail == held.detail}
    left: list[NotMoved] = []
    moves: list[Move] = []
    earlier = 0
    for decision in decisions:
        why = _why_not(held, decision)
        if why is None:
            moves.append(_plan(held, decision, [*journal, *moves]))
        elif (in_journal(decision.file), decision.sha256) in moved:
            earlier += 1
        else:
            left.append(NotMoved(decision.file, why))
    failed = carry_out(held, moves)
    stayed = {one.file for one in failed}
    done = [move.reason for move in moves if move.origin not in stayed]
    left += _by_person(failed, held.unlabelled.path)
    return Labelled(done.count(LABELLED), done.count(SET_ASIDE), earlier, tuple(left))


def _why_not(held: MountedFolder, decision: Decision) -> str | None:
    """Return why a photo must stay where it is, or None."""
    path = PurePosixPath(decision.file)
    hidden = any(part.startswith(".") for part in path.parts)
    if path.is_absolute() or path.as_posix() != decision.file or hidden or not path.parts:
        return f"is no photo of {str(held.unlabelled.path)!r}"
    if behind_a_link(held.unlabelled, decision.file):
        return BEHIND_A_LINK
    status = held.unlabelled.status(decision.file)
    if status is None:
        return "is gone"
    if stat.S_ISLNK(status.st_mode):
        return "is a link: put the photo in its place"
    return fault(decision, held.unlabelled.path / decision.file)


def _plan(held: MountedFolder, decision: Decision, known: Sequence[Move]) -> Move:
    if decision.label is None:
        reason, place = SET_ASIDE, quarantine_place(held, SET_ASIDE, decision.file)
    else:
        reason, place = LABELLED, free_place(held, PurePosixPath(decision.label, decision.file), known)
    return Move("", reason, held.detail, "", in_journal(decision.file), place, decision.sha256, kept="")


def _by_person(left: Sequence[NotMoved], unlabelled: Path) -> list[NotMoved]:
    """Name files as a person knows them."""
    journalled = in_journal("")
    return [replace(one, file=by_person(one.file), why=one.why.replace(journalled, f"{unlabelled}/")) for one in left]
