"""What `predict` is given: photos, folders, patterns, ZIP archives and https addresses -> files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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
    """Whether a word is a web address."""
    return word.lower().startswith(("http://", "https://"))


def find_inputs(words: Sequence[str], allow_download: bool) -> Inputs:
    """Find the files that words name. Addresses are fetched into a temporary folder.

    Raises:
        OptionError: there is an address without the user's consent, or without https.
        DatasetError, OutputError: an archive cannot be unpacked.
    """
    from roadclear.data.discovery import find_photos

    for word in filter(is_address, words):
        if not word.lower().startswith("https://"):
            raise OptionError(f"expected an address with https, got {word!r}: fetch the photo yourself")
        if not allow_download:
            raise OptionError(f"expected photos on this machine, got {word!r}: add --allow-download to fetch it")
    inputs = Inputs()
    for word in words:
        if is_address(word):
            _fetch(word, inputs)
        else:
            inputs.photos += find_photos([word])
    return inputs


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
