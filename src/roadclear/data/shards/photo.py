"""A photo of a shard, and what every kind of shard can do."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from roadclear.data.dataset import SPLIT_FOLDERS
from roadclear.images.limits import MAX_FILE_BYTES

DETAILS = ("label", "split", "scene", "source", "page", "author", "licence")
"""What may be known of a photo beside its content: fields of `ShardPhoto`, and columns of tables."""


@dataclass(frozen=True)
class ShardPhoto:
    """A photo of a shard, or a reason why there is none.

    Attributes:
        id: name of the photo, unique in its source.
        content: content of the photo's file; None where there is none.
        reason: why there is no content, or None.
        label: label, or None.
        split: "train", "validation" or "test", where the source prescribes the split; else None.
        scene: scene, or None. Photos of one scene belong together.
        source: site or repository of origin, or None.
        page: address of the web page of origin, or None.
        author: name of the author, or None.
        licence: name of the licence, or None.
    """

    id: str
    content: bytes | None
    reason: str | None = None
    label: str | None = None
    split: str | None = None
    scene: str | None = None
    source: str | None = None
    page: str | None = None
    author: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class OpenShard:
    """A shard that is open.

    Attributes:
        sha256: SHA-256 in hex of all that the shard holds and of the chosen columns: equal for equal photos.
        photos: photos in their order, read as they are taken.
    """

    sha256: str
    photos: Iterator[ShardPhoto]


class Shard(Protocol):
    """Piece of a source. A shard can be pickled, and read in another process."""

    @property
    def name(self) -> str:
        """Name, unique in the source, without a folder."""
        ...

    def open(self) -> AbstractContextManager[OpenShard]:
        """Open the shard for reading.

        Raises:
            UnavailableError: the shard cannot be read at all.
        """
        ...


def with_columns(sha256: str, *columns: str | None) -> str:
    """Return the SHA-256 of a shard read by chosen columns; that of the shard itself where none is chosen."""
    return hashlib.sha256(repr((sha256, columns)).encode()).hexdigest() if any(columns) else sha256


def at_most(content: bytes) -> tuple[bytes | None, str | None]:
    """Return the content of a photo's file, or None and a reason where the content is empty or too large."""
    if not content:
        return None, "the file is empty"
    if len(content) > MAX_FILE_BYTES:
        return None, f"too large: {len(content) / 1e6:,.0f} MB, expected at most {MAX_FILE_BYTES / 1e6:,.0f}"
    return content, None


def label_of(name: str) -> tuple[str | None, str | None]:
    """Label and prescribed split of a photo by its folders: the last is the label, and the one above may be a split.

    Example:
        >>> label_of("crossing/1.jpg"), label_of("val/empty/1.jpg"), label_of("1.jpg")
        (('crossing', None), ('empty', 'validation'), (None, None))
    """
    folders = PurePosixPath(name).parts[:-1]
    label = folders[-1] if folders else None
    split = SPLIT_FOLDERS.get(folders[-2].lower()) if len(folders) > 1 else None
    return label, split
