"""PNG: its chunks (ISO/IEC 15948)."""

from roadclear.images.limits import (
    MAX_CHUNKS,
    MAX_METADATA_BYTES,
    MAX_PACKED_CHUNKS,
    MAX_PROFILE_CHUNKS,
    MAX_SEGMENTS,
)
from roadclear.images.structure.budget import Structure, spend

_PIXELS = frozenset({b"IDAT", b"fdAT"})
_PACKED_TEXTS = frozenset({b"zTXt", b"iTXt"})
_FRAME_CONTROL = frozenset({b"fcTL"})


def walk_png(data: bytes) -> Structure:
    """Walk the chunks of a PNG to its end.

    Raises:
        PhotoError: there are too many chunks, bytes of metadata, or chunks that are unpacked.
    """
    position, chunks, others, metadata, profiles, texts = 8, 0, 0, 0, 0, 0
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if kind == b"IEND":
            break
        chunks += 1
        if kind not in _PIXELS:
            others += kind not in _FRAME_CONTROL
            metadata += length
            profiles += kind == b"iCCP"
            texts += kind in _PACKED_TEXTS
            spend("PNG", others, MAX_SEGMENTS, "chunks beside its pixels")
            spend("PNG", metadata, MAX_METADATA_BYTES, "bytes of metadata")
            spend("PNG", profiles, MAX_PROFILE_CHUNKS, "colour profiles")
            spend("PNG", texts, MAX_PACKED_CHUNKS, "compressed texts")
        spend("PNG", chunks, MAX_CHUNKS, "chunks")
        position += 12 + length
    return Structure()
