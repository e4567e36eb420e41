"""Changes to a labelled folder, one after the other, as a person makes them, and back again.

Photos move by the journal of cleaning and triage, so a kill loses nothing, and every command can take the moves back.
"""

import os
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count, takewhile
from pathlib import Path, PurePosixPath

from roadclear.collect.collector import CollectRequest
from roadclear.curation.apply import SET_ASIDE, Decided, decide
from roadclear.curation.decisions import Decision
from roadclear.curation.journal import Move, read_journal
from roadclear.curation.moves import (
    BEHIND_A_LINK,
    NotMoved,
    behind_a_link,
    carry_out,
    locked,
    quarantine_place,
    settle,
)
from roadclear.data.dataset import MANIFEST, SOURCES, SPLIT_FOLDERS, LabelledPhoto, load_folder
from roadclear.data.split import TRAIN
from roadclear.errors import OptionError, PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.files import as_output_error, write_file
from roadclear.utils.held_folder import HeldFolder

_LONGEST_NAME, _LONGEST_SUFFIX = 120, 10
"""Longest name of an added file before the suffix, in bytes, and longest suffix. Most file systems take 255 bytes."""


@dataclass(frozen=True)
class Edited:
    """What a change did.

    Attributes:
        files: paths of the changed photos after the change, relative to the folder.
        left: photos that stayed, with reasons.
    """

    files: tuple[str, ...]
    left: tuple[NotMoved, ...] = ()


@dataclass(frozen=True)
class _Step:
    """One change that can be taken back.

    Attributes:
        made: moves that were made.
        reverted: earlier moves that were reverted.
        added: files that were added.
        name: name that joins steps; "" joins none.
    """

    made: tuple[Move, ...] = ()
    reverted: tuple[Move, ...] = ()
    added: tuple[str, ...] = ()
    name: str = ""

    @property
    def size(self) -> int:
        """Number of changed photos."""
        return len(self.made) + len(self.reverted) + len(self.added)


class Editor:
    """Editor of a labelled folder. Threads may share an object; one of them at a time changes the folder.

    Args:
        folder: folder of photos. Missing label folders are made.
        labels: the two labels.

    Attributes:
        folder: folder of photos.
        labels: the two labels, in alphabetical order.

    Raises:
        DatasetError: the folder has other labels, or its journal is damaged.
        OptionError: a label cannot be the name of a folder.
        OutputError: the folder cannot be written, or another process works on the folder.

    Example:
        >>> editor = Editor(Path("photos"), ("crossing", "empty"))  # doctest: +SKIP
        >>> editor.relabel(["crossing/a.jpg"], "empty").files  # doctest: +SKIP
        ('empty/a.jpg',)
        >>> editor.undo().files  # doctest: +SKIP
        ('crossing/a.jpg',)
    """

    def __init__(self, folder: Path, labels: tuple[str, str]) -> None:
        check_labels(labels)
        self.folder = folder
        with as_output_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._steps: list[_Step] = []
        self._sizes: dict[int, list[str]] = {}
        self.labels: tuple[str, str] = (min(labels), max(labels))
        with self._held():
            self._make_label_folders()
            for photo in load_folder(folder, self.labels).photos:
                self._remember(photo.file)

    def relabel(self, files: Sequence[str], label: str) -> Edited:
        """Move photos to the folder of a label. Photos that have the label already are passed over.

        Args:
            files: paths relative to the folder.
            label: one of the two labels.

        Raises:
            OptionError: the label is neither of the two.
            DatasetError, OutputError: see `roadclear.curation.moves.carry_out`.
        """
        if label not in self.labels:
            raise OptionError(f"expected {self.labels[0]!r} or {self.labels[1]!r}, got the label {label!r}")
        with self._held() as held:
            photos = self._photos()
            chosen = [(file, photos.get(file)) for file in files]
            wanted = [(file, photo) for file, photo in chosen if photo is None or photo.label != label]
            decided = decide(held, [(Decision(file, _hash(photo), label), photo) for file, photo in wanted])
            self._push(_Step(self._journalled(decided.made), decided.reverted))
        return _edited(decided)

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
            self._push(_Step(made=made))
        return edited

    def add(self, label: str, name: str, data: bytes, step: str = "") -> str | None:
        """Write a new photo into a label's folder, under a free name.

        Args:
            label: one of the two labels.
            name: name of the file. What cannot be part of a file name is replaced.
            data: content of the file.
            step: files that are added one after the other with the same word are one step to undo.

        Returns:
            Path of the file relative to the folder; None where the folder has a file with this content.

        Raises:
            OptionError: the label is neither of the two.
            OutputError: the file cannot be written, or another process works on the folder.
        """
        if label not in self.labels:
            raise OptionError(f"expected {self.labels[0]!r} or {self.labels[1]!r}, got the label {label!r}")
        with self._held() as held:
            if self._has(data):
                return None
            file = self._free_name(held, label, file_name(name))
            held.make_parents(file)
            write_file(self.folder / file, data, "free space, then add the photo again", overwrite=False)
            self._sizes.setdefault(len(data), []).append(file)
            last = self._steps[-1] if self._steps else _Step()
            if step and last.name == step:
                self._steps[-1] = replace(last, added=(*last.added, file))
            else:
                self._push(_Step(added=(file,), name=step))
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
                step = self._steps.pop() if self._steps else _Step(made=_latest(known))
                if not step.size:
                    return None
                edited = self._take_back(held, step, known)
                if edited.files or edited.left:
                    return edited

    def undoable(self) -> int:
        """Return the number of photos that the next `undo` changes; 0 where there is nothing to take back."""
        with self._lock:
            return self._steps[-1].size if self._steps else len(_latest(read_journal(self.folder)))

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
            self._sizes.clear()
            for photo in self._photos().values():
                self._remember(photo.file)

    @contextmanager
    def _held(self) -> Iterator[HeldFolder]:
        """Hold the folder and its lock, with the moves of an interrupted run taken back."""
        with self._lock, locked(self.folder) as held:
            settle(held)
            yield held

    def _make_label_folders(self) -> None:
        with as_output_error(self.folder):
            found = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
            if not found or not all(path.name.lower() in SPLIT_FOLDERS for path in found):
                for label in self.labels:
                    (self.folder / label).mkdir(exist_ok=True)

    def _photos(self) -> dict[str, LabelledPhoto]:
        return {photo.file: photo for photo in load_folder(self.folder, self.labels).photos}

    def _is_split(self) -> bool:
        return not all((self.folder / label).is_dir() for label in self.labels)

    def _push(self, step: _Step) -> None:
        if step.size:
            self._steps.append(step)

    def _journalled(self, moves: Collection[Move]) -> tuple[Move, ...]:
        """Return moves as the journal has them, with their times."""
        wanted = {_key(move) for move in moves}
        return tuple(move for move in read_journal(self.folder) if _key(move) in wanted)

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
                place = quarantine_place(held, reason, photo.file)
                moves.append(Move("", reason, detail, photo.label, photo.file, place, _hash(photo), kept=""))
        failed = carry_out(held, moves)
        stayed = {one.file for one in failed}
        made = self._journalled([move for move in moves if move.origin not in stayed])
        left += [*(NotMoved(file, BEHIND_A_LINK) for file in linked), *failed]
        return Edited(tuple(move.place for move in made), tuple(left)), made

    def _take_back(self, held: HeldFolder, step: _Step, known: Sequence[Move]) -> Edited:
        """Take a step back, as far as its files are where the step left them."""
        if step.added:
            return self._quarantine(
                held, [f for f in step.added if held.exists(f)], SET_ASIDE, "added, and taken back"
            )[0]
        made = [move for move in step.made if move in known]
        again = [replace(move, moved_at="") for move in step.reverted if _key(move) not in {_key(m) for m in known}]
        again = [move for move in again if held.exists(move.origin) and not held.exists(move.place)]
        left = carry_out(held, again, made)
        stayed = {one.file for one in left}
        back = [move.origin for move in made if move.place not in stayed]
        return Edited((*back, *(move.place for move in again if move.origin not in stayed)), left)

    def _free_name(self, held: HeldFolder, label: str, name: str) -> str:
        """Return a place for a new file that no file has, and no move in the journal names."""
        splits = (path.name for path in self.folder.iterdir() if SPLIT_FOLDERS.get(path.name.lower()) == TRAIN)
        above = (next(splits, ""),) if self._is_split() else ()
        wanted = PurePosixPath(*above, label, name)
        journal = read_journal(self.folder)
        taken = {move.origin for move in journal} | {move.place for move in journal}
        for number in count(1):
            place = (wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")).as_posix()
            if place not in taken and not held.exists(place):
                return place
        raise AssertionError("unreachable")

    def _remember(self, file: str) -> None:
        try:
            self._sizes.setdefault((self.folder / file).stat().st_size, []).append(file)
        except OSError:
            return  # the file has gone a moment ago

    def _has(self, data: bytes) -> bool:
        """Whether a file that was here or was added has this content, wherever a move has brought the file."""
        moved = {move.origin: move.place for move in read_journal(self.folder)} if len(data) in self._sizes else {}
        for file in self._sizes.get(len(data), ()):
            place = moved.get(file, file)
            try:
                if not place.startswith(".") and (self.folder / place).read_bytes() == data:
                    return True
            except OSError:
                continue
        return False


def check_labels(labels: tuple[str, str]) -> None:
    """Refuse labels that cannot be names of folders.

    Raises:
        OptionError: a label cannot be the name of a folder, or both are equal.
    """
    CollectRequest(labels, 1, ())
    for label in labels:
        if label.startswith(".") or len(os.fsencode(label)) > _LONGEST_NAME:
            raise OptionError(f"a label must be the name of a visible folder, such as crossing, got {label!r}")


def file_name(name: str) -> str:
    """Make a file name of what a person or a program calls a photo.

    Folders are left out, and what cannot be printed or leads elsewhere is replaced.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join("_" if c in '<>:"|?*' or not c.isprintable() else c for c in last).strip(". ")
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        stem, suffix = clean, ""
    short = stem.encode()[:_LONGEST_NAME].decode(errors="ignore").strip(". ")
    return f"{short or 'photo'}{dot}{suffix[:_LONGEST_SUFFIX]}".rstrip(". ")


def _edited(decided: Decided) -> Edited:
    places = [*(move.place for move in decided.made), *(move.origin for move in decided.reverted)]
    return Edited(tuple(places), decided.applied.left)


def _key(move: Move) -> tuple[str, str, str]:
    return move.origin, move.place, move.sha256


def _latest(journal: Sequence[Move]) -> tuple[Move, ...]:
    """Return the moves of the last run, those with the last time. Photos that had no label before stay labelled."""
    moves = [move for move in journal if not move.is_from_unlabelled]
    return tuple(takewhile(lambda move: move.moved_at == moves[-1].moved_at, reversed(moves)))[::-1]


def _hash(photo: LabelledPhoto | None) -> str:
    """Return the SHA-256 of a photo's file, in hex; "" where the file cannot be read."""
    try:
        return "" if photo is None else sha256(read_bytes(photo.path)).hexdigest()
    except PhotoError:
        return ""
