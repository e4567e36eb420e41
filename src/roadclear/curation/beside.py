"""The folder of unlabelled photos beside a labelled folder, for changes that a person makes one by one.

Its photos appear under the name `UNLABELLED`, as in the journal; see `roadclear.curation.mount`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadclear.curation.apply import fault
from roadclear.curation.decisions import Decision
from roadclear.curation.journal import UNLABELLED, Move
from roadclear.curation.labelling import both_held
from roadclear.curation.mount import by_person, check_places, detail_of, in_journal
from roadclear.curation.moves import locked
from roadclear.data.dataset import LabelledPhoto
from roadclear.data.discovery import find_photos
from roadclear.errors import OptionError
from roadclear.utils.files import as_output_error
from roadclear.utils.held_folder import HeldFolder

NO_LABEL = ""
"""Label of unlabelled photos."""


class Beside:
    """Folder of unlabelled photos beside a folder of labelled ones. The folder need not exist.

    Args:
        folder: folder of labelled photos.
        unlabelled: folder of unlabelled photos; None for none.
    """

    def __init__(self, folder: Path, unlabelled: Path | None) -> None:
        self._folder, self._unlabelled = folder, unlabelled

    @property
    def detail(self) -> str:
        """What the journal says of photos that come from the folder; "" where there is none."""
        return "" if self._unlabelled is None else detail_of(self._unlabelled)

    def photos(self) -> tuple[LabelledPhoto, ...]:
        """List the photos by name, with an empty label."""
        if self._unlabelled is None or not self._unlabelled.is_dir():
            return ()
        names = ((path, path.relative_to(self._unlabelled).as_posix()) for path in find_photos([self._unlabelled]))
        return tuple(LabelledPhoto(path, in_journal(name), NO_LABEL) for path, name in sorted(names))

    def make(self) -> None:
        """Make the folder where it is missing.

        Raises:
            OptionError: there is no name for it.
            DatasetError: photos cannot be moved between the folders.
            OutputError: the folder cannot be made.
        """
        if self._unlabelled is None:
            raise OptionError("expected a folder for unlabelled photos, found none: name one")
        with as_output_error(self._unlabelled):
            self._unlabelled.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[HeldFolder]:
        """Lock the labelled folder, and hold it open, with the unlabelled one in it where there is one.

        Raises:
            DatasetError: photos cannot be moved between the folders.
            OutputError: see `roadclear.curation.moves.locked`.
        """
        if self._unlabelled is None or not self._unlabelled.is_dir():
            with locked(self._folder) as held:
                yield held
            return
        check_places(self._folder, self._unlabelled)
        with both_held(self._folder, self._unlabelled) as held:
            yield held

    def path(self, file: str) -> Path:
        """Return the place on disk of a photo of either folder."""
        if self._unlabelled is not None and file.startswith(f"{UNLABELLED}/"):
            return self._unlabelled / by_person(file)
        return self._folder / file

    def reaches(self, move: Move) -> bool:
        """Whether both ends of a move lie in the folders that are there."""
        there = self._unlabelled is not None and self._unlabelled.is_dir()
        return not move.is_from_unlabelled or (there and move.detail == self.detail)


def why_not(photo: LabelledPhoto, sha256: str) -> str | None:
    """Return why an unlabelled photo cannot get a label, or None."""
    if photo.path.is_symlink():
        return "is a link: put the photo in its place"
    return fault(Decision(photo.file, sha256, NO_LABEL), photo.path)
