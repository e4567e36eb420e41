"""Plant faults of real photo collections among sound photos, and list the faults.

The faults are known, so the demonstration can count how many of them cleaning and triage find.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.errors import DatasetError, OutputError, PhotoError
from roadclear.images.decode import decode, read_bytes
from roadclear.utils.files import write_file

_CUT_AT = 0.6
_SMALLER = 0.8
_LOW_QUALITY, _QUALITY = 60, 88
_PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>This photo is gone.</body></html>\n"
_TEXT = b"To do: sort these photos.\n"


class Kind(StrEnum):
    """Kind of a planted fault."""

    DUPLICATE = "exact duplicate"
    RECODED = "re-encoded copy"
    RESIZED = "resized copy"
    MIRRORED = "mirrored copy"
    TRUNCATED = "truncated JPEG"
    PAGE = "HTML page named .jpg"
    EMPTY = "empty file"
    TEXT = "text file"
    BOTH_LABELS = "copy under the other label"
    WRONG_LABEL = "wrong label"


_SHARES = {
    Kind.DUPLICATE: 0.03,
    Kind.RECODED: 0.02,
    Kind.RESIZED: 0.02,
    Kind.MIRRORED: 0.02,
    Kind.TRUNCATED: 0.01,
    Kind.PAGE: 0.01,
    Kind.EMPTY: 0.01,
    Kind.TEXT: 0.01,
    Kind.BOTH_LABELS: 0.02,
    Kind.WRONG_LABEL: 0.05,
}

SAME_LABEL_COPIES = (Kind.DUPLICATE, Kind.RECODED, Kind.RESIZED, Kind.MIRRORED)


@dataclass(frozen=True)
class Plant:
    """A planted fault. Paths are relative to the folder, with forward slashes.

    Attributes:
        file: file that was added, or new path of a photo that was moved to the wrong label.
        kind: kind of the fault.
        true_label: true label of the picture; empty where there is no picture.
        original: photo that was copied, or old path of the moved photo; empty where there is none.
    """

    file: str
    kind: Kind
    true_label: str
    original: str


def plant(folder: Path, seed: int) -> list[Plant]:
    """Plant faults of every kind among photos.

    Every photo is used once at most, and unreadable photos are never used. Equal folders and seeds give equal files.

    Args:
        folder: folder with one subfolder of photos per label, see `roadclear.data.dataset`.
        seed: random seed, 0 or above.

    Returns:
        All faults, which are the only changes of the folder.

    Raises:
        DatasetError: the folder does not have two labels, or has too few readable photos.
        OutputError: the folder cannot be written.
    """
    dataset = load_folder(folder)
    planter = _Planter(dataset, np.random.default_rng(seed))
    counts = {kind: max(1, round(share * len(dataset.photos))) for kind, share in _SHARES.items()}
    try:
        return [planter.plant(kind) for kind, count in counts.items() for _ in range(count)]
    except OSError as error:
        raise OutputError(f"cannot write in {str(folder)!r}: {error.strerror}; choose another folder") from error


class _Planter:
    """Photos in the order of their use, and free file names."""

    def __init__(self, dataset: Dataset, chance: np.random.Generator) -> None:
        self._root, self._labels = dataset.root, dataset.labels
        self._names = {photo.file for photo in dataset.photos}
        self._originals = self._readable([dataset.photos[i] for i in chance.permutation(len(dataset.photos))])
        self._numbers = iter(chance.permutation(np.arange(1000, 10_000)).tolist())

    def plant(self, kind: Kind) -> Plant:
        photo, data = self._next_original()
        if kind == Kind.WRONG_LABEL:
            return self._move_to_other_label(photo)
        if kind in _FILES:
            suffix, content = _FILES[kind]
            return Plant(self._add(photo, photo.label, suffix, content), kind, "", "")
        label = self._other(photo.label) if kind == Kind.BOTH_LABELS else photo.label
        suffix = PurePosixPath(photo.file).suffix if kind in (Kind.DUPLICATE, Kind.BOTH_LABELS) else ".jpg"
        return Plant(self._add(photo, label, suffix, _CHANGES[kind](data)), kind, photo.label, photo.file)

    def _next_original(self) -> tuple[LabelledPhoto, bytes]:
        original = next(self._originals, None)
        if original is None:
            raise DatasetError(f"expected more photos that can be read in {str(self._root)!r}: the demo needs about 40")
        return original

    def _add(self, photo: LabelledPhoto, label: str, suffix: str, content: bytes) -> str:
        """Write a file under a label, in the split of the photo where the folder has splits."""
        file = self._free(self._label_folder(photo, label), suffix)
        path = self._root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return file

    def _move_to_other_label(self, photo: LabelledPhoto) -> Plant:
        place = self._label_folder(photo, self._other(photo.label)) / PurePosixPath(photo.file).name
        if not self._is_free(place):
            place = PurePosixPath(self._free(place.parent, place.suffix))
        (self._root / place).parent.mkdir(parents=True, exist_ok=True)
        photo.path.rename(self._root / place)
        return Plant(place.as_posix(), Kind.WRONG_LABEL, photo.label, photo.file)

    @staticmethod
    def _readable(photos: list[LabelledPhoto]) -> Iterator[tuple[LabelledPhoto, bytes]]:
        for photo in photos:
            try:
                data = read_bytes(photo.path)
                decode(data)
            except PhotoError:
                continue
            yield photo, data

    def _other(self, label: str) -> str:
        return self._labels[1] if label == self._labels[0] else self._labels[0]

    @staticmethod
    def _label_folder(photo: LabelledPhoto, label: str) -> PurePosixPath:
        """The folder of a label, in the split of the photo where the folder has splits."""
        split = PurePosixPath(photo.file).parts[:1] if photo.split is not None else ()
        return PurePosixPath(*split, label)

    def _free(self, place: PurePosixPath, suffix: str) -> str:
        """A free name as cameras give it, which does not reveal the fault."""
        names = (place / f"IMG_{number}{suffix}" for number in self._numbers)
        return next(name.as_posix() for name in names if self._is_free(name))

    def _is_free(self, place: PurePosixPath) -> bool:
        """Whether no file has or had the name. The old name of a moved photo would be ambiguous."""
        return place.as_posix() not in self._names and not os.path.lexists(self._root / place)


def _recoded(data: bytes) -> bytes:
    return _jpeg(_image(data), _LOW_QUALITY)


def _resized(data: bytes) -> bytes:
    image = _image(data)
    size = max(1, round(image.width * _SMALLER)), max(1, round(image.height * _SMALLER))
    return _jpeg(image.resize(size, Image.Resampling.BICUBIC), _QUALITY)


def _mirrored(data: bytes) -> bytes:
    return _jpeg(_image(data).transpose(Image.Transpose.FLIP_LEFT_RIGHT), _QUALITY)


def _truncated(data: bytes) -> bytes:
    whole = _jpeg(_image(data), _QUALITY)
    return whole[: round(len(whole) * _CUT_AT)]


def _image(data: bytes) -> Image.Image:
    return Image.fromarray(decode(data))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


_FILES = {Kind.PAGE: (".jpg", _PAGE), Kind.EMPTY: (".jpg", b""), Kind.TEXT: (".txt", _TEXT)}

_CHANGES: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.DUPLICATE: bytes,
    Kind.BOTH_LABELS: bytes,
    Kind.RECODED: _recoded,
    Kind.RESIZED: _resized,
    Kind.MIRRORED: _mirrored,
    Kind.TRUNCATED: _truncated,
}


def write_plants(path: Path, plants: list[Plant]) -> None:
    """Write planted.csv: file, what, true label, original. File names that are not UTF-8 keep their bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "what", *(field.name for field in fields(Plant)[2:])])
    rows.writerows(astuple(one) for one in plants)
    write_file(path, text.getvalue().encode("utf-8", errors="surrogateescape"))
