"""Changes to a labelled folder, one after the other, as a person makes them, and back again.

Photos move by the journal of cleaning and triage, so a kill loses nothing, and every command can take the moves back. A
folder of unlabelled photos may lie beside: its photos appear under the name `UNLABELLED`, as in the journal.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from roadclear.curation.adding import Contents, check_labels, file_name
from roadclear.curation.apply import SET_ASIDE, Decided, decide, free_place
from roadclear.curation.beside import NO_LABEL, Beside, why_not
from roadclear.curation.decisions import Decision
from roadclear.curation.journal import LABELLED, UNLABELLED, Move, read_journal
from roadclear.curation.mount import by_person
from roadclear.curation.moves import (
    BEHIND_A_LINK,
    NotMoved,
    behind_a_link,
    carry_out,
    quarantine_place,
    settle,
)
from roadclear.curation.steps import Step, key_of, latest_run
from roadclear.data.dataset import MANIFEST, SOURCES, SPLIT_FOLDERS, LabelledPhoto, load_folder
from roadclear.data.split import TRAIN
from roadclear.errors import OptionError, PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.files import as_output_error, write_file
from roadclear.utils.held_folder import HeldFolder


@dataclass(frozen=True)
class Edited:
    """What a change did.

    Attributes:
        files: paths of the changed photos after the change, relative to the folder.
        left: photos that stayed, with reasons.
    """

    files: tuple[str, ...]
    left: tuple[NotMoved, ...] = ()


class Editor:
    """Editor of a labelled folder. Threads may share an object; one of them at a time changes the folder.

    Args:
        folder: folder of photos. Missing label folders are made.
        labels: the two labels.
        unlabelled: folder of unlabelled photos, which is made when the first photo is added; None for no such folder.

    Attributes:
        folder: folder of photos.
        labels: the two labels, in alphabetical order.

    Raises:
        DatasetError: the folder has other labels, its journal is damaged, or photos cannot be moved between the
            folders.
        OptionError: a label cannot be the name of a folder.
        OutputError: the folder cannot be written, or another process works on the folder.

    Example:
        >>> editor = Editor(Path("photos"), ("crossing", "empty"))  # doctest: +SKIP
        >>> editor.relabel(["crossing/a.jpg"], "empty").files  # doctest: +SKIP
        ('empty/a.jpg',)
        >>> editor.undo().files  # doctest: +SKIP
        ('crossing/a.jpg',)
    """

    def __init__(self, folder: Path, labels: tuple[str, str], unlabelled: Path | None = None) -> None:
        check_labels(labels)
        self.folder, self._beside = folder, Beside(folder, unlabelled)
        with as_output_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._steps: list[Step] = []
        self._contents = Contents(self._beside.path)
        self.labels: tuple[str, str] = (min(labels), max(labels))
        with self._held():
            self._make_label_folders()
            self._contents.remember(self._photos())

    def unlabelled(self) -> tuple[LabelledPhoto, ...]:
        """List the unlabelled photos, by name, with an empty label."""
        return self._beside.photos()

    def relabel(self, files: Sequence[str], label: str) -> Edited:
        """Move photos to the folder of a label, labelled and unlabelled ones. Photos that have it are passed over.

        Args:
            files: paths relative to the folder.
            label: one of the two labels.

        Raises:
            OptionError: the label is neither of the two.
            DatasetError, OutputError: see `roadclear.curation.moves.carry_out`.
        """
        self._check(label)
        with self._held() as held:
            photos = self._photos()
            chosen = [(file, photos.get(file)) for file in files]
            wanted = [(file, photo) for file, photo in chosen if photo is None or photo.label not in (label, NO_LABEL)]
            decided = decide(held, [(Decision(file, _hash(photo), label), photo) for file, photo in wanted])
            new, left = self._label(held, [p for _, p in chosen if p is not None and p.label == NO_LABEL], label)
            self._push(Step((*self._journalled(decided.made), *new), decided.reverted))
        edited = _edited(decided)
        return Edited((*edited.files, *(move.place for move in new)), (*edited.left, *left))

    def set_aside(self, files: Sequence[str], reason: str = SET_ASIDE, detail: str = "decided in the studio") -> Edited:
        """Move photos to the quarantine, also photos that cannot be read.

        Args:
            files: paths relative to the folder.
            reason: reason in the journal, and name of the folder in the quarantine.
            detail: the reason in words for a person.

        Raises:
            DatasetError, OutputError: see `roadclear.curation.moves.carry_out`.
        """
        with self._held() as held:
            edited, made = self._quarantine(held, files, reason, detail)
            self._push(Step(made=made))
        return edited

    def add(self, label: str, name: str, data: bytes, step: str = "") -> str | None:
        """Write a new photo into a label's folder, or among the unlabelled ones, under a free name.

        Args:
            label: one of the two labels, or "" for an unlabelled photo.
            name: name of the file. What cannot be part of a file name is replaced.
            data: content of the file.
            step: files that are added one after the other with the same word are one step to undo.

        Returns:
            Path of the file relative to the folder; None where there is a file with this content, labelled or not.

        Raises:
            OptionError: the label is neither of the two, or there is no folder for unlabelled photos.
            DatasetError: photos cannot be moved between the folders.
            OutputError: the file cannot be written, or another process works on the folder.
        """
        if label != NO_LABEL:
            self._check(label)
        with self._lock:
            if label == NO_LABEL:
                self._beside.make()
            return self._add(label, name, data, step)

    def _add(self, label: str, name: str, data: bytes, step: str) -> str | None:
        with self._held() as held:
            journal = read_journal(self.folder)
            if self._contents.has(data, journal):
                return None
            file = free_place(held, self._place(label, file_name(name)), journal)
            held.make_parents(file)
            write_file(self._beside.path(file), data, "free space, then add the photo again", overwrite=False)
            self._contents.remember([file])
            last = self._steps[-1] if self._steps else Step()
            if step and last.name == step:
                self._steps[-1] = replace(last, added=(*last.added, file))
            else:
                self._push(Step(added=(file,), name=step))
        return file

    def undo(self) -> Edited | None:
        """Take the last change back. Photos that were added are set aside. Earlier sessions' moves come last.

        Returns:
            The changed photos; None where there is nothing to take back.

        Raises:
            DatasetError, OutputError: see `roadclear.curation.moves.carry_out`.
        """
        with self._held() as held:
            while True:
                known = read_journal(self.folder)
                step = self._steps.pop() if self._steps else Step(made=latest_run(known, self._beside.reaches))
                if not step.size:
                    return None
                edited = self._take_back(held, step, known)
                if edited.files or edited.left:
                    return edited

    def undoable(self) -> int:
        """Return the number of photos that the next `undo` changes; 0 where there is nothing to take back."""
        with self._lock:
            return (
                self._steps[-1].size
                if self._steps
                else len(latest_run(read_journal(self.folder), self._beside.reaches))
            )

    def rename(self, labels: tuple[str, str]) -> None:
        """Give the labels other names, by renaming their folders.

        Args:
            labels: new names for `labels`, in the same order.

        Raises:
            OptionError: a name cannot be the name of a folder, or a table or the journal names the folders.
            OutputError: a folder cannot be renamed.
        """
        check_labels(labels)
        with self._held() as held:
            if labels == self.labels:
                return
            named = [name for name in (MANIFEST, SOURCES) if (self.folder / name).exists()]
            if named or read_journal(self.folder) or self._is_split():
                why = f"{named[0]} names them" if named else "photos were moved between them"
                raise OptionError(f"expected labels that can be renamed, but {why}: rename the folders by hand")
            if labels[0] == self.labels[1] or labels[1] == self.labels[0]:
                raise OptionError("expected new names, got the name of the other label: choose a third name first")
            with as_output_error(self.folder):
                for old, new in zip(self.labels, labels, strict=True):
                    if old != new:
                        held.move(old, new)
            self.labels = (min(labels), max(labels))
            self._steps.clear()
            self._contents = Contents(self._beside.path)
            self._contents.remember(self._photos())

    @contextmanager
    def _held(self) -> Iterator[HeldFolder]:
        """Hold the folder and its lock, with the moves of an interrupted run taken back."""
        with self._lock, self._beside.held() as held:
            settle(held)
            yield held

    def _make_label_folders(self) -> None:
        with as_output_error(self.folder):
            found = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
            if not found or not all(path.name.lower() in SPLIT_FOLDERS for path in found):
                for label in self.labels:
                    (self.folder / label).mkdir(exist_ok=True)

    def _check(self, label: str) -> None:
        if label not in self.labels:
            raise OptionError(f"expected {self.labels[0]!r} or {self.labels[1]!r}, got the label {label!r}")

    def _photos(self) -> dict[str, LabelledPhoto]:
        return {photo.file: photo for photo in (*load_folder(self.folder, self.labels).photos, *self.unlabelled())}

    def _is_split(self) -> bool:
        return not all((self.folder / label).is_dir() for label in self.labels)

    def _push(self, step: Step) -> None:
        if step.size:
            self._steps.append(step)

    def _journalled(self, moves: Collection[Move]) -> tuple[Move, ...]:
        """Return moves as the journal has them, with their times."""
        wanted = {key_of(move) for move in moves}
        return tuple(move for move in read_journal(self.folder) if key_of(move) in wanted)

    def _quarantine(
        self, held: HeldFolder, files: Iterable[str], reason: str, detail: str
    ) -> tuple[Edited, tuple[Move, ...]]:
        photos = self._photos()
        left = [NotMoved(file, "is gone") for file in files if file not in photos]
        chosen = [photos[file] for file in files if file in photos]
        linked = [photo.file for photo in chosen if behind_a_link(held, photo.file)]
        moves = []
        for photo in chosen:
            if photo.file not in linked:
                place = quarantine_place(held, reason, by_person(photo.file))
                why = detail if photo.label != NO_LABEL else self._beside.detail
                moves.append(Move("", reason, why, photo.label, photo.file, place, _hash(photo), kept=""))
        failed = carry_out(held, moves)
        stayed = {one.file for one in failed}
        made = self._journalled([move for move in moves if move.origin not in stayed])
        left += [*(NotMoved(file, BEHIND_A_LINK) for file in linked), *failed]
        return Edited(tuple(move.place for move in made), tuple(left)), made

    def _take_back(self, held: HeldFolder, step: Step, known: Sequence[Move]) -> Edited:
        """Take a step back, as far as its files are where the step left them."""
        if step.added:
            return self._quarantine(
                held, [f for f in step.added if held.exists(f)], SET_ASIDE, "added, and taken back"
            )[0]
        made = [move for move in step.made if move in known]
        again = [replace(move, moved_at="") for move in step.reverted if key_of(move) not in {key_of(m) for m in known}]
        again = [move for move in again if held.exists(move.origin) and not held.exists(move.place)]
        left = carry_out(held, again, made)
        stayed = {one.file for one in left}
        back = [move.origin for move in made if move.place not in stayed]
        return Edited((*back, *(move.place for move in again if move.origin not in stayed)), left)

    def _label(
        self, held: HeldFolder, photos: Sequence[LabelledPhoto], label: str
    ) -> tuple[tuple[Move, ...], list[NotMoved]]:
        """Move unlabelled photos to the folder of a label. Return the moves, and the photos that stayed."""
        left: list[NotMoved] = []
        moves: list[Move] = []
        journal = read_journal(self.folder)
        for photo in photos:
            content = _hash(photo)
            if why := why_not(photo, content):
                left.append(NotMoved(photo.file, why))
                continue
            place = free_place(held, self._place(label, by_person(photo.file)), [*journal, *moves])
            moves.append(Move("", LABELLED, self._beside.detail, NO_LABEL, photo.file, place, content, kept=""))
        failed = carry_out(held, moves) if moves else ()
        stayed = {one.file for one in failed}
        return self._journalled([move for move in moves if move.origin not in stayed]), [*left, *failed]

    def _place(self, label: str, name: str) -> PurePosixPath:
        """Return the wanted place of a new photo. In split folders new photos are training photos."""
        if label == NO_LABEL:
            return PurePosixPath(UNLABELLED, name)
        splits = (path.name for path in self.folder.iterdir() if SPLIT_FOLDERS.get(path.name.lower()) == TRAIN)
        above = (next(splits, ""),) if self._is_split() else ()
        return PurePosixPath(*above, label, name)


def _edited(decided: Decided) -> Edited:
    places = [*(move.place for move in decided.made), *(move.origin for move in decided.reverted)]
    return Edited(tuple(places), decided.applied.left)


def _hash(photo: LabelledPhoto | None) -> str:
    """Return the SHA-256 of a photo's file, in hex; "" where the file cannot be read."""
    try:
        return "" if photo is None else sha256(read_bytes(photo.path)).hexdigest()
    except PhotoError:
        return ""
