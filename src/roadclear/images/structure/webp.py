"""WebP: the chunks of its RIFF container (RFC 9649)."""

from roadclear.images.limits import MAX_CHUNKS, MAX_METADATA_BYTES
from roadclear.images.structure.budget import Structure, spend

_METADATA = frozenset({b"ICCP", b"EXIF", b"XMP "})


def walk_webp(data: bytes) -> Structure:
    """Walk the chunks of a WebP to its end.

    Raises:
        PhotoError: there are too many chunks or bytes of metadata.
    """
    position, chunks, metadata = 12, 0, 0
    while position + 8 <= len(data):
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        chunks += 1
        metadata += length if kind in _METADATA else 0
        spend("WebP", chunks, MAX_CHUNKS, "chunks")
        spend("WebP", metadata, MAX_METADATA_BYTES, "bytes of metadata")
        position += 8 + length + length % 2
    return Structure()
