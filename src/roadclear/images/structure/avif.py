"""AVIF: the boxes that say where its items and frames lie (ISO/IEC 14496-12 and 23008-12)."""

from collections.abc import Iterator

from roadclear.images.limits import MAX_AVIF_TABLE_BYTES, MAX_METADATA_BYTES, MAX_SEGMENTS
from roadclear.images.structure.budget import Structure, spend

_CONTAINERS = frozenset({b"meta", b"iprp", b"moov", b"trak", b"mdia", b"minf", b"stbl"})
# Pixels and padding, which no decoder reads entry by entry.
_CONTENT = frozenset({b"mdat", b"idat", b"free", b"skip"})
_PROPERTIES = b"ipco"
_MAX_DEPTH = 8


def walk_avif(data: bytes) -> Structure:
    """Walk the boxes of an AVIF. Decoders compare the entries of the tables with one another.

    Raises:
        PhotoError: there are too many boxes, bytes of tables or bytes of properties.
    """
    boxes, tables, properties = 0, 0, 0
    for kind, length in _boxes(data, 0, len(data), _MAX_DEPTH):
        boxes += 1
        spend("AVIF", boxes, MAX_SEGMENTS, "boxes")
        if kind == _PROPERTIES:
            properties += length
            spend("AVIF", properties, MAX_METADATA_BYTES, "bytes of properties")
        elif kind not in _CONTENT:
            tables += length
            spend("AVIF", tables, MAX_AVIF_TABLE_BYTES, "bytes of tables")
    return Structure()


def _boxes(data: bytes, position: int, end: int, depth: int) -> Iterator[tuple[bytes, int]]:
    """Kind and length in bytes of each box that holds no other box, and of the properties as a whole."""
    while position + 8 <= end:
        length, kind, head = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16]), 16
        last = end if length == 0 else min(position + max(length, head), end)
        if kind in _CONTAINERS and depth:
            yield from _boxes(data, position + head + 4 * (kind == b"meta"), last, depth - 1)
        elif kind == _PROPERTIES:
            inner = list(_boxes(data, position + head, last, 0))
            yield kind, last - position
            yield from ((_PROPERTIES, 0) for _ in inner)
        else:
            yield kind, last - position
        position = last
