"""A folder of unlabelled photos, held beside a folder of labelled ones, so that photos can move from one to the other.

In the journal of the labelled folder the unlabelled one appears under the name `UNLABELLED`, as if it lay there. The
journal is thus complete, and no row of a journal can name a place outside: only the user names the folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadclear.curation.journal import UNLABELLED, Move
from roadclear.data.shards.opening import is_sharded
from roadclear.errors import DatasetError
from roadclear.utils.held_folder import HeldFolder


class MountedFolder(HeldFolder):
    """A held folder in which a second held folder appears under the name `UNLABELLED`.

    Attributes:
        unlabelled: the second folder.
    """

    def __init__(self, folder: HeldFolder, unlabelled: HeldFolder) -> None:
        super().__init__(folder.path, folder._handle)
        self.unlabelled = unlabelled

    @property
    def detail(self) -> str:
        """What the journal says of photos that come from the second folder."""
        return detail_of(self.unlabelled.path)

    @contextmanager
    def _parent(self, name: str, make: bool = False) -> Iterator[tuple[int | None, str]]:
        top, slash, rest = name.partition("/")
        inside = slash and top == UNLABELLED
        with self.unlabelled._parent(rest, make) if inside else super()._parent(name, make) as found:
            yield found


def reaches(folder: HeldFolder, move: Move) -> bool:
    """Whether both ends of a move lie in a folder, or in the folder that appears in it."""
    return not move.is_from_unlabelled or (isinstance(folder, MountedFolder) and move.detail == folder.detail)


def detail_of(unlabelled: Path) -> str:
    """Return what the journal says of photos that come from a folder of unlabelled photos."""
    return f"moved here from {unlabelled.resolve()}"


def in_journal(file: str) -> str:
    """Return the name of an unlabelled photo in the journal."""
    return f"{UNLABELLED}/{file}"


def by_person(name: str) -> str:
    """Return the path of a photo as a person knows it, relative to its folder: the inverse of `in_journal`."""
    return name.removeprefix(f"{UNLABELLED}/")


def check_places(photos: Path | None, unlabelled: Path) -> None:
    """Refuse folders between which photos cannot be moved.

    Args:
        photos: folder that photos are to be moved to, which need not exist; None where none is named yet.
        unlabelled: folder of unlabelled photos.

    Raises:
        DatasetError: there is no folder of unlabelled photos, the labelled photos are no folder, one folder lies in the
            other, or the two are on different file systems.
    """
    if is_sharded(unlabelled) or (photos is not None and is_sharded(photos)):
        raise DatasetError(
            "expected two folders of photo files, found shards or a remote source: their photos are never moved"
        )
    if not os.path.isdir(unlabelled):  # noqa: PTH112, a path that is too long is no folder, and no error
        raise DatasetError(f"expected a folder of unlabelled photos, found none at {str(unlabelled)!r}: check the name")
    if photos is None:
        return
    if os.path.exists(photos) and not os.path.isdir(photos):  # noqa: PTH110, PTH112, likewise
        raise DatasetError(
            f"expected a folder to move decided photos to, found the file {str(photos)!r}: name a folder"
        )
    ours, theirs = photos.resolve(), unlabelled.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise DatasetError(
            f"expected unlabelled photos outside of {str(photos)!r}, found {str(unlabelled)!r}: move one of the "
            "folders, so that neither lies in the other"
        )
    existing = next(place for place in (ours, *ours.parents) if os.path.exists(place))  # noqa: PTH110, likewise
    if existing.stat().st_dev != theirs.stat().st_dev:
        raise DatasetError(
            f"expected {str(unlabelled)!r} on the file system of {str(photos)!r}, found another one: copy the "
            "unlabelled photos there, because photos are moved and never copied"
        )
