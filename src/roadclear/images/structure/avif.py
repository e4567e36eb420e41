"""AVIF and HEIF: the boxes that say where its items and frames lie (ISO/IEC 14496-12 and 23008-12)."""

from collections.abc import Iterator

from roadclear.images.limits import MAX_AVIF_TABLE_BYTES, MAX_METADATA_BYTES, MAX_SEGMENTS
from roadclear.images.structure.budget import Structure, spend

_CONTAINERS = frozenset({b"meta", b"iprp", b"moov", b"trak", b"mdia", b"minf", b"stbl"})
# Pixels and padding, which no decoder reads entry by entry.
_CONTENT = frozenset({b"mdat", b"idat", b"free", b"skip"})
_PROPERTIES = b"ipco"
_MAX_DEPTH = 8


def walk_heif(data: bytes) -> Structure:
    """Walk the boxes of a HEIF, which are those of an AVIF.

    Raises:
        PhotoError: see `walk_avif`.
    """
    return walk_avif(data, "HEIF")


def walk_avif(data: bytes, format_name: str = "AVIF") -> Structure:
    """Walk the boxes of an AVIF. Decoders compare the entries of the tables with one another.

    Args:
        data: content of the file.
        format_name: format that a refusal names.

    Raises:
        PhotoError: there are too many boxes, bytes of tables or bytes of properties.
    """
    tables, properties = 0, 0
    for boxes, (kind, length) in enumerate(_boxes(data, 0, len(data), 0), start=1):
        spend(format_name, boxes, MAX_SEGMENTS, "boxes")
        if kind == _PROPERTIES:
            properties += length
            spend(format_name, properties, MAX_METADATA_BYTES, "bytes of properties")
        elif kind not in _CONTENT:
            tables += length
            spend(format_name, tables, MAX_AVIF_TABLE_BYTES, "bytes of tables")
    return Structure()


def _boxes(data: bytes, position: int, end: int, depth: int) -> Iterator[tuple[bytes, int]]:
    """Kind and length in bytes of each box below the top that holds no other box, and of the properties as a whole."""
    while position + 8 <= end:
        length, kind, head = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[position + 8 : position + 16]), 16
        last = end if length == 0 else min(position + max(length, head), end)
        if kind in _CONTAINERS and depth < _MAX_DEPTH:
            yield from _boxes(data, position + head + 4 * (kind == b"meta"), last, depth + 1)
        else:
            # Decoders skip unknown boxes at the top, for instance the video of a photo that moves.
            yield kind, last - position if depth else 0
        if kind == _PROPERTIES:  # each of them counts as a box
            yield from ((kind, 0) for _ in _boxes(data, position + head, last, _MAX_DEPTH))
        position = last
