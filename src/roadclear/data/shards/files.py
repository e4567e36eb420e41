"""Shards of loose files: some of the photos of a folder or of a table, here or in an object store.

Photos are dealt to shards by their names, so one new photo changes one shard.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from typing import BinaryIO

from roadclear.data.shards.photo import OpenShard, ShardPhoto, at_most
from roadclear.errors import PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.storage import UnavailableError, address_of, read

PHOTOS_A_SHARD = 1000
"""Largest mean number of photos in a shard."""


@dataclass(frozen=True)
class FileShard:
    """Some files.

    Attributes:
        name: name of the shard.
        photos: photos without content, each with the path or address of its file.
    """

    name: str
    photos: tuple[tuple[str, ShardPhoto], ...]

    @contextmanager
    def open(self) -> Iterator[OpenShard]:
        """Open the files; see `roadclear.data.shards.photo.Shard`.

        Remote files are read once, into a temporary file. Local files are read twice: for the digest, and again.
        """
        digest = hashlib.sha256()
        remote = any(address_of(place) is not None for place, _ in self.photos)
        with tempfile.TemporaryFile(prefix="roadclear-") as kept:
            sizes: list[tuple[int, str | None]] = []
            for place, photo in self.photos:
                read_photo = _with_content(place, photo)
                content = read_photo.content or b""
                known = astuple(replace(read_photo, content=None))
                digest.update(hashlib.sha256(content).digest() + repr(known).encode(errors="surrogateescape"))
                if remote:
                    kept.write(content)
                    sizes.append((len(content), read_photo.reason))
            kept.seek(0)
            photos = self._kept(kept, sizes) if remote else (_with_content(*photo) for photo in self.photos)
            yield OpenShard(digest.hexdigest(), photos)

    def _kept(self, file: BinaryIO, sizes: Sequence[tuple[int, str | None]]) -> Iterator[ShardPhoto]:
        for (_, photo), (size, reason) in zip(self.photos, sizes, strict=True):
            yield replace(photo, content=file.read(size) if reason is None else None, reason=reason)


def deal(name: str, photos: Sequence[tuple[str, ShardPhoto]]) -> list[FileShard]:
    """Deal photos to shards of 1,000 or fewer on average, by their names.

    Args:
        name: first part of the shards' names.
        photos: path or address of each file, and the photo without content.

    Returns:
        Shards, their photos in the order given. The number of shards that photos are dealt to is a power of two.
    """
    bits = max(0, (max(1, len(photos)) - 1) // PHOTOS_A_SHARD).bit_length()
    shards: dict[int, list[tuple[str, ShardPhoto]]] = {}
    for place, photo in photos:
        first = hashlib.sha256(photo.id.encode(errors="surrogateescape")).digest()[:4]
        shards.setdefault(int.from_bytes(first, "big") >> (32 - bits), []).append((place, photo))
    return [
        FileShard(f"{name}-{number:05d}-of-{2**bits:05d}", tuple(dealt)) for number, dealt in sorted(shards.items())
    ]


def _with_content(place: str, photo: ShardPhoto) -> ShardPhoto:
    """Read a photo, or say why it cannot be read."""
    try:
        content = read(place) if address_of(place) is not None else read_bytes(place)
    except UnavailableError as error:
        return replace(photo, reason=f"could not be fetched: {error.reason}")
    except PhotoError as error:
        return replace(photo, reason=error.reason)
    held, reason = at_most(content)
    return replace(photo, content=held, reason=reason)
