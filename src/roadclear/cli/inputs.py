"""What `predict` is given: photos, folders, patterns, archives, shards and addresses -> files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from roadclear.data.shards.names import is_shard
from roadclear.errors import OptionError

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.prediction import Prediction


@dataclass
class Inputs:
    """Files to predict, in the order of the words that name them.

    Attributes:
        photos: paths, also of photos that could not be fetched.
        failures: why a photo could not be fetched, by its path.
    """

    photos: list[Path] = field(default_factory=list)
    failures: dict[Path, str] = field(default_factory=dict)

    @property
    def local(self) -> list[Path]:
        """Paths of the photos that are there to be read."""
        return [photo for photo in self.photos if photo not in self.failures]

    def merge(self, results: "Iterator[Prediction | UnreadablePhoto]") -> "Iterator[Prediction | UnreadablePhoto]":
        """Put the photos that could not be fetched into their places among the results of the others."""
        from roadclear.images.decode import UnreadablePhoto

        for photo in self.photos:
            if photo in self.failures:
                yield UnreadablePhoto(photo, self.failures[photo])
            else:
                yield next(results)


def is_address(word: str) -> bool:
    """Whether a word is the web address of a photo."""
    return word.lower().startswith(("http://", "https://")) and not is_source(word)


def is_source(word: str) -> bool:
    """Whether a word names shards, a file in an object store, or an archive or a table on a web server."""
    if word.lower().startswith(("http://", "https://")):
        return is_shard(word) or word.lower().endswith((".zip", ".csv"))
    remote = word.lower().startswith(("s3://", "gs://"))
    if not (remote or is_shard(word) or os.path.isdir(word)):  # noqa: PTH112, any name may be given
        return False  # a photo, which needs no more imports
    from roadclear.data.shards.opening import is_sharded

    return is_sharded(word)


def find_inputs(words: Sequence[str], allow_download: bool) -> Inputs:
    """Find the files that words name. Photos of addresses and of shards are copied into a temporary folder.

    Raises:
        OptionError: there is an address without the user's consent, or without https.
        DatasetError, OutputError: an archive or a shard cannot be unpacked.
    """
    from roadclear.data.discovery import find_photos

    for word in filter(is_address, words):
        if not word.lower().startswith("https://"):
            raise OptionError(f"expected an address with https, got {word!r}: fetch the photo yourself")
        if not allow_download:
            raise OptionError(f"expected photos on this machine, got {word!r}: add --allow-download to fetch it")
    inputs = Inputs()
    for word in words:
        if is_source(word):
            _unpack(word, inputs)
        elif is_address(word):
            _fetch(word, inputs)
        else:
            inputs.photos += find_photos([word])
    return inputs


def _unpack(source: str, inputs: Inputs) -> None:
    from roadclear.data.unpacked import unpack_source

    unpacked = unpack_source(source)
    found = {photo.file: photo.path for photo in unpacked.photos}
    for skipped in unpacked.skipped:
        path = unpacked.root / str(skipped.file)
        inputs.failures[path] = skipped.reason
        found[str(skipped.file)] = path
    inputs.photos += [found[name] for name in sorted(found)]


def _fetch(address: str, inputs: Inputs) -> None:
    """Fetch a photo by the client of `collect`: public addresses only, with limits of size and time."""
    from roadclear.collect.downloader import fetch
    from roadclear.collect.rejections import FetchError
    from roadclear.utils.files import as_output_error
    from roadclear.utils.temporary import set_origin, temporary_folder

    folder = temporary_folder()
    path = folder / "photo"
    try:
        photo = fetch(address)
        path = folder / f"photo{photo.extension}"
        with as_output_error(path, "set TMPDIR to a folder that has space"):
            path.write_bytes(photo.data)
    except FetchError as error:
        inputs.failures[path] = f"could not be fetched: {error}"
    set_origin(path, address)
    inputs.photos.append(path)
