"""The photos of the folder as they are on disk, with a number that changes with them."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.utils.text import printable


@dataclass(frozen=True, eq=False)
class Listing:
    """Photos of the folder at one moment.

    Attributes:
        version: number of the listing, from 1. Another listing has another number.
        dataset: labelled photos.
        unlabelled: unlabelled photos, with an empty label.
        ids: [n] words that name the photos in addresses.
        stamps: [n] words that change when a file changes.
    """

    version: int
    dataset: Dataset
    unlabelled: tuple[LabelledPhoto, ...]
    ids: tuple[str, ...]
    stamps: tuple[str, ...]

    @property
    def photos(self) -> tuple[LabelledPhoto, ...]:
        """All photos [n], the labelled ones first."""
        return (*self.dataset.photos, *self.unlabelled)

    def trains_like(self, other: "Listing") -> bool:
        """Whether another listing has the same labelled photos, with the same contents and labels."""
        n = len(self.dataset.photos)
        return self.dataset == other.dataset and self.stamps[:n] == other.stamps[:n]


class Library:
    """Photos of a folder, listed again where something has changed. Threads may share an object.

    Args:
        folder: folder of photos.
        labels: function that returns the two labels.
        unlabelled: function that lists the unlabelled photos.

    Attributes:
        changing: lock that is held while photos are moved, so that nobody lists the folder halfway.
    """

    def __init__(
        self,
        folder: Path,
        labels: Callable[[], tuple[str, str]],
        unlabelled: Callable[[], Sequence[LabelledPhoto]] = tuple,
    ) -> None:
        self._folder, self._labels, self._unlabelled = folder, labels, unlabelled
        self.changing = threading.RLock()
        self._by_id: dict[str, LabelledPhoto] = {}
        self._listing = Listing(0, Dataset(folder, (), labels()), (), (), ())

    @property
    def listing(self) -> Listing:
        """The last listing."""
        return self._listing

    def refresh(self) -> Listing:
        """List the folder again.

        Raises:
            DatasetError: the folder is gone, or has other labels.
        """
        with self.changing:
            dataset = load_folder(self._folder, self._labels())
            unlabelled = tuple(self._unlabelled())
            photos = (*dataset.photos, *unlabelled)
            stamps = tuple(_stamp(photo.path) for photo in photos)
            last = self._listing
            if (dataset, unlabelled, stamps) != (last.dataset, last.unlabelled, last.stamps) or not last.version:
                ids = tuple(photo_id(photo.file) for photo in photos)
                self._by_id = dict(zip(ids, photos, strict=True))
                self._listing = Listing(last.version + 1, dataset, unlabelled, ids, stamps)
            return self._listing

    def photo(self, name: str) -> LabelledPhoto | None:
        """Find the photo that an address names."""
        return self._by_id.get(name)

    def files(self, names: Iterable[str]) -> tuple[list[str], int]:
        """Return the paths of the photos that addresses name, and the number of names without a photo."""
        found = [self._by_id.get(name) for name in names]
        return [photo.file for photo in found if photo is not None], found.count(None)


def photo_id(file: str) -> str:
    """Return the word that names a photo in addresses. File names may have any bytes."""
    return hashlib.sha256(os.fsencode(file)).hexdigest()[:20]


def shown_name(file: str, label: str) -> str:
    """Return the path of a photo as a person knows it. Unlabelled photos lie in a folder of their own."""
    return printable(file if label else file.partition("/")[2])


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
