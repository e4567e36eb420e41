"""AVIF and HEIF: the boxes that say where its items and frames lie (ISO/IEC 14496-12 and 23008-12)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from roadclear.images.limits import MAX_AVIF_TABLE_BYTES, MAX_METADATA_BYTES, MAX_SEGMENTS
from roadclear.images.structure.av1 import Extent, check_frames
from roadclear.images.structure.budget import Structure, spend

_CONTAINERS = frozenset({b"meta", b"iprp", b"moov", b"trak", b"mdia", b"minf", b"stbl"})
# Pixels and padding, which no decoder reads entry by entry.
_CONTENT = frozenset({b"mdat", b"idat", b"free", b"skip"})
_PROPERTIES = b"ipco"
_TEXTS = frozenset({b"Exif", b"mime"})
_MAX_DEPTH = 8


@dataclass(frozen=True)
class _Box:
    """A box without boxes inside, or the properties as a whole. Its content lies from `start` to `end`."""

    kind: bytes
    start: int
    end: int
    length: int


@dataclass
class _Places:
    """Boxes that say where pictures lie."""

    items: list[_Box] = field(default_factory=list)
    infos: list[_Box] = field(default_factory=list)
    content: int = 0
    offsets: list[_Box] = field(default_factory=list)
    sizes: list[_Box] = field(default_factory=list)

    def note(self, box: _Box) -> None:
        if box.kind == b"iloc":
            self.items.append(box)
        elif box.kind == b"iinf":
            self.infos.append(box)
        elif box.kind == b"idat":
            self.content = box.start
        elif box.kind in (b"stco", b"co64"):
            self.offsets.append(box)
        elif box.kind == b"stsz":
            self.sizes.append(box)


def walk_heif(data: bytes) -> Structure:
    """Walk the boxes of a HEIF, which are those of an AVIF.

    Raises:
        PhotoError: see `walk_avif`. The frames in one picture are not counted.
    """
    _walk(data, "HEIF")
    return Structure()


def walk_avif(data: bytes) -> Structure:
    """Walk the boxes of an AVIF. Decoders compare the entries of the tables with one another.

    Args:
        data: content of the file.

    Raises:
        PhotoError: there are too many boxes, bytes of tables, bytes of properties, or frames in one picture.
    """
    places = _walk(data, "AVIF")
    check_frames(data, [*_items(data, places), *_samples(data, places)])
    return Structure()


def _walk(data: bytes, format_name: str) -> _Places:
    places, tables, properties = _Places(), 0, 0
    for count, box in enumerate(_boxes(data, 0, len(data), 0), start=1):
        spend(format_name, count, MAX_SEGMENTS, "boxes")
        if box.kind == _PROPERTIES:
            properties += box.length
            spend(format_name, properties, MAX_METADATA_BYTES, "bytes of properties")
        elif box.kind not in _CONTENT:
            tables += box.length
            spend(format_name, tables, MAX_AVIF_TABLE_BYTES, "bytes of tables")
        places.note(box)
    return places


def _boxes(data: bytes, position: int, end: int, depth: int) -> Iterator[_Box]:
    """Each box below the top that holds no other box, with its length in bytes, and the properties as a whole."""
    while position + 8 <= end:
        length, kind, head = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16]), 16
        last = end if length == 0 else min(position + max(length, head), end)
        if kind in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(data, position + head + 4 * (kind == b"meta"), last, depth + 1)
        else:
            # Decoders skip unknown boxes at the top, for instance the video of a photo that moves.
            yield _Box(kind, position + head, last, last - position if depth else 0)
        if kind == _PROPERTIES:  # each of them counts as a box
            inner = _boxes(data, position + head, last, _MAX_DEPTH)
            yield from (_Box(_PROPERTIES, box.start, box.end, 0) for box in inner)
        position = last


class _Reader:
    """Reader of numbers in a box; beyond the end there are zeros."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, end

    @property
    def is_over(self) -> bool:
        return self._at >= self._end

    def number(self, size: int) -> int:
        self._at += size
        return int.from_bytes(self._data[self._at - size : min(self._at, self._end)])


def _items(data: bytes, places: _Places) -> Iterator[tuple[Extent, ...]]:
    """Places of each item (8.11.3), from the boxes "iloc". Items of metadata are left out."""
    texts = _texts(data, places)
    for box in places.items:
        reader = _Reader(data, box.start, box.end)
        version = reader.number(4) >> 24
        sizes = reader.number(2)
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        for _ in range(reader.number(2 if version < 2 else 4)):
            if reader.is_over:
                break
            item = reader.number(2 if version < 2 else 4)
            method = reader.number(2) & 15 if version else 0
            reader.number(2)
            base = reader.number(base_size) + (places.content if method == 1 else 0)
            extents: list[Extent] = []
            for _ in range(reader.number(2)):
                if reader.is_over:
                    break
                reader.number(index_size if version else 0)
                start = base + reader.number(offset_size)
                length = reader.number(length_size)
                extents.append((start, start + length if length else len(data)))
            if extents and item not in texts:
                yield tuple(extents)


def _texts(data: bytes, places: _Places) -> set[int]:
    """Items that are metadata by every entry about them (8.11.6), from the boxes "iinf"."""
    texts: set[int] = set()
    others: set[int] = set()
    for box in places.infos:
        version = data[box.start : box.start + 1]
        for info in _boxes(data, box.start + (6 if version == b"\0" else 8), box.end, _MAX_DEPTH):
            reader = _Reader(data, info.start, info.end)
            version_of_entry = reader.number(4) >> 24
            item = reader.number(2 if version_of_entry < 3 else 4)
            reader.number(2)
            kind = reader.number(4).to_bytes(4)
            (texts if kind in _TEXTS else others).add(item)
    return texts - others


def _samples(data: bytes, places: _Places) -> Iterator[tuple[Extent, ...]]:
    """Place of the first sample of each track (8.7.3 and 8.7.5), which is the only one that is decoded."""
    for offsets, sizes in zip(places.offsets, places.sizes, strict=False):
        reader = _Reader(data, offsets.start + 8, offsets.end)
        start = reader.number(8 if offsets.kind == b"co64" else 4)
        reader = _Reader(data, sizes.start + 4, sizes.end)
        same, _ = reader.number(4), reader.number(4)
        yield ((start, start + (same or reader.number(4))),)
