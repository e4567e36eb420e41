"""Content filter: which photos a model was trained on, in about 3 bytes a photo and without the photos.

A Bloom filter (Bloom 1970, "Space/time trade-offs in hash coding with allowable errors") of the SHA-256 of the photos'
files. A photo of the training is always found. Another photo is found by chance with the rate `FALSE_POSITIVES`.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadclear.errors import OptionError, PhotoError
from roadclear.images.decode import read_bytes
from roadclear.utils.threads import ordered_map, worker_threads

if TYPE_CHECKING:  # reading a model file must stay light
    from roadclear.data.dataset import LabelledPhoto

FALSE_POSITIVES = 1e-4
"""Upper bound of the rate at which other photos are found by chance."""

MAX_PHOTOS = 10_000_000
"""Largest number of photos in a filter."""

MAX_EARLIER = 50
"""Largest number of earlier trainings whose filters are carried."""

# With 20 bits a photo and 13 hashes the rate is (1 - exp(-13 / 20)) ** 13 = 0.00007. Few bits scatter more.
_BITS_PER_PHOTO = 20
_HASHES = 13
_FEWEST_BITS = 512

_SALT_BYTES = 16
_WORD_BYTES = 4
_CONFIDENCE = 0.99


@dataclass(frozen=True)
class ContentFilter:
    """Contents of photos, to be recognised but not to be listed.

    Attributes:
        photos: number of different contents.
        salt: salt of the hashes in hex, 32 digits. The salt follows from the contents, so equal trainings give equal
            files, and a table made for one filter does not fit another.
        bits: the filter's bits in base64, lowest bit first; see `docs/files.md`.
        earlier: filters of the earlier trainings that a training started from. Filters of different salts cannot be
            joined, so each is carried.
    """

    photos: int
    salt: str
    bits: str
    earlier: "tuple[ContentFilter, ...]" = ()

    @classmethod
    def from_hashes(cls, hashes: Iterable[str], start: "ContentFilter | None" = None) -> "ContentFilter":
        """Make the filter of contents.

        Args:
            hashes: SHA-256 of the photos' files, in hex, at least one.
            start: filter of the model that the training started from; None where there is none.

        Raises:
            OptionError: the training follows on 50 others.
        """
        contents = sorted(set(hashes))
        salt = hashlib.sha256("".join(["roadclear content filter", *contents]).encode()).hexdigest()[: 2 * _SALT_BYTES]
        bits = bytearray(_filter_bytes(len(contents)))
        for sha256 in contents:
            for place in _places(salt, sha256, 8 * len(bits)):
                bits[place // 8] |= 1 << place % 8
        earlier = () if start is None else (replace(start, earlier=()), *start.earlier)
        if len(earlier) > MAX_EARLIER:
            raise OptionError(
                f"expected a start that follows on fewer than {MAX_EARLIER} other trainings, found {len(earlier) - 1}: "
                "start from an older model"
            )
        return cls(len(contents), salt, base64.b64encode(bits).decode(), earlier)

    @classmethod
    def from_json(cls, text: str) -> "ContentFilter":
        """Read a filter from the metadata of a model file.

        Raises:
            ValueError: the text is not a filter.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or not isinstance(earlier := values.pop("earlier", []), list):
            raise ValueError("the filter of the training photos is no table, or its earlier filters are no list")
        if len(earlier) > MAX_EARLIER:
            raise ValueError(f"the filter of the training photos has {len(earlier)} earlier filters")
        return replace(cls._parse(values), earlier=tuple(cls._parse(each) for each in earlier))

    @classmethod
    def _parse(cls, values: Any) -> "ContentFilter":
        """Check one filter by itself.

        Raises:
            ValueError: the values are not a filter.
        """
        if not isinstance(values, dict) or set(values) - {"earlier"} != {"photos", "salt", "bits"}:
            raise ValueError("the filter of the training photos has other entries than photos, salt and bits")
        if values.get("earlier"):
            raise ValueError("the filter of the training photos has earlier filters inside of earlier filters")
        photos, salt, bits = values["photos"], values["salt"], values["bits"]
        if type(photos) is not int or not 1 <= photos <= MAX_PHOTOS:
            raise ValueError("the filter of the training photos has an impossible number of photos")
        if not isinstance(salt, str) or len(salt) != 2 * _SALT_BYTES or set(salt) - set("0123456789abcdef"):
            raise ValueError("the filter of the training photos has no salt of 32 hex digits")
        if not isinstance(bits, str) or len(base64.b64decode(bits, validate=True)) != _filter_bytes(photos):
            raise ValueError("the filter of the training photos has another size than its number of photos needs")
        return cls(photos, salt, bits)

    def to_json(self) -> str:
        """Convert the filter to JSON for the metadata of a model file."""
        return json.dumps(
            self._values() | ({"earlier": [each._values() for each in self.earlier]} if self.earlier else {})
        )

    def _values(self) -> dict[str, Any]:
        return {"photos": self.photos, "salt": self.salt, "bits": self.bits}

    @property
    def filters(self) -> int:
        """Number of filters, the earlier ones included."""
        return 1 + len(self.earlier)

    def __contains__(self, sha256: str) -> bool:
        """Whether a photo with this SHA-256 is among the contents, or is found by chance."""
        bits = self._bytes
        own = all(bits[place // 8] >> place % 8 & 1 for place in _places(self.salt, sha256, 8 * len(bits)))
        return own or any(sha256 in each for each in self.earlier)

    def find(self, photos: "Sequence[LabelledPhoto]") -> frozenset[str]:
        """Find photos whose content is in the filter.

        Args:
            photos: photos to look among. A photo that cannot be read is not found.

        Returns:
            Relative paths (`file`) of the photos found.
        """
        hashes = ordered_map(hash_file, [photo.path for photo in photos], worker_threads())
        found = zip(photos, hashes, strict=True)
        return frozenset(photo.file for photo, sha256 in found if sha256 is not None and sha256 in self)

    @cached_property
    def _bytes(self) -> bytes:
        return base64.b64decode(self.bits)


def largest_chance(photos: int, filters: int = 1) -> int:
    """Say how many of n other photos are found by chance at most, with 99% probability.

    The number is a quantile of the Poisson distribution with mean n * filters * `FALSE_POSITIVES`.
    """
    from scipy.special import pdtr

    count = 0
    while pdtr(count, photos * filters * FALSE_POSITIVES) < _CONFIDENCE:
        count += 1
    return count


def hash_file(path: Path) -> str | None:
    """Return the SHA-256 of a photo's file in hex; None for a file that cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except PhotoError:
        return None


def _filter_bytes(photos: int) -> int:
    """Return the size of a filter in bytes."""
    return -(-max(_FEWEST_BITS, _BITS_PER_PHOTO * photos) // 8)


def _places(salt: str, sha256: str, bits: int) -> list[int]:
    """Return the places of a content's bits: words of a SHA-512, 32 bits each, modulo the number of bits."""
    digest = hashlib.sha512(bytes.fromhex(salt) + bytes.fromhex(sha256)).digest()
    words = (digest[_WORD_BYTES * k : _WORD_BYTES * (k + 1)] for k in range(_HASHES))
    return [int.from_bytes(word, "little") % bits for word in words]
