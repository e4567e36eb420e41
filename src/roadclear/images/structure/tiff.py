"""TIFF and BigTIFF: the directories (TIFF 6.0, section 2; BigTIFF differs in the widths of its numbers)."""

import struct
from dataclasses import dataclass

from roadclear.images.limits import MAX_DIRECTORIES, MAX_TAG_VALUES, MAX_TAGS
from roadclear.images.structure.budget import Structure, spend

_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# Values of these types stay bytes; every other value becomes a Python object.
_BYTE_TYPES = frozenset({1, 2, 6, 7})
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# Exif, GPS and interoperability directories, which Pillow reads together with the picture.
_DIRECTORY_TAGS = frozenset({34665, 34853, 40965})
_TILE_PIXEL_BYTES = 8


@dataclass(frozen=True)
class _Layout:
    """How numbers are stored: of tags, a tag, the offset of a directory, and the offset of the first one."""

    count: struct.Struct
    tag: struct.Struct
    offset: struct.Struct
    first_at: int


@dataclass(frozen=True)
class _Directory:
    """What a walk needs of a directory: bytes and numbers of its values, tile size, inner directories, the next one."""

    value_bytes: int
    values: int
    tile: dict[int, int]
    inner: list[int]


def walk_tiff(data: bytes) -> Structure:
    """Walk the directories of a TIFF, and the tags of the first page.

    Raises:
        PhotoError: there are too many directories, tags or values.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"+"  # Pillow reads a BigTIFF with big-endian numbers as a TIFF
    count, tag, offset = (struct.Struct(order + form) for form in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    layout = _Layout(count, tag, offset, first_at=8 if big else 4)
    try:
        (first,) = layout.offset.unpack_from(data, layout.first_at)
        page = _read_directory(data, first, layout)
        for inner in page.inner:
            _read_directory(data, inner, layout)
    except (struct.error, OverflowError):
        return Structure()
    width, height = (page.tile.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    return Structure(
        frames=_count_directories(data, first, layout),
        decoder_bytes=page.value_bytes + width * height * _TILE_PIXEL_BYTES,
    )


def _read_directory(data: bytes, position: int, layout: _Layout) -> _Directory:
    (tags,) = layout.count.unpack_from(data, position)
    spend("TIFF", tags, MAX_TAGS, "tags")
    position += layout.count.size
    value_bytes, values, tile, inner = 0, 0, {}, []
    for at in range(position, position + tags * layout.tag.size, layout.tag.size):
        if at + layout.tag.size > len(data):
            break
        tag, kind, count, value = layout.tag.unpack_from(data, at)
        size = count * _BYTES_OF_TYPE.get(kind, 0)
        if size > len(data):
            continue  # the decoder leaves the tag out
        value_bytes += size
        if kind not in _BYTE_TYPES:
            values += count
            spend("TIFF", values, MAX_TAG_VALUES, "values of tags")
        if count == 1 and tag in _DIRECTORY_TAGS | {_TILE_WIDTH, _TILE_HEIGHT}:
            number = int.from_bytes(
                value[: _BYTES_OF_TYPE.get(kind, 0)], "little" if "<" in layout.tag.format else "big"
            )
            if tag in _DIRECTORY_TAGS:
                inner.append(number)
            else:
                tile[tag] = number
    return _Directory(value_bytes, values, tile, inner)


def _count_directories(data: bytes, position: int, layout: _Layout) -> int:
    """Follow the chain of directories to its end, or to a directory that was seen before."""
    seen: set[int] = set()
    while position and position not in seen:
        seen.add(position)
        spend("TIFF", len(seen), MAX_DIRECTORIES, "directories")
        try:
            (tags,) = layout.count.unpack_from(data, position)
            (position,) = layout.offset.unpack_from(data, position + layout.count.size + tags * layout.tag.size)
        except (struct.error, OverflowError):
            break
    return len(seen)
