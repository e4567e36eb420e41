"""AV1: the frames that lie in one picture of an AVIF (AV1 Bitstream and Decoding Process Specification, 5.3 and 5.9).

A picture may hold frames that are decoded and never shown. A decoder spends the time of a whole picture on each.
"""

from collections.abc import Iterable

from roadclear.images.limits import MAX_AVIF_FRAMES, MAX_AVIF_UNITS
from roadclear.images.structure.budget import spend

Extent = tuple[int, int]
"""Start and end of bytes in the file."""

_FRAME_HEADER, _FRAME = 3, 6


def check_frames(data: bytes, pictures: Iterable[tuple[Extent, ...]]) -> None:
    """Refuse a file with too many frames in one picture.

    Args:
        data: content of the file.
        pictures: places of each coded picture. The same places are walked once.

    Raises:
        PhotoError: a picture has more frames than `MAX_AVIF_FRAMES`, or all pictures have too many units to be walked.
    """
    units, joined = 0, 0
    for extents in dict.fromkeys(pictures):
        content = memoryview(data)[slice(*extents[0])] if len(extents) == 1 else b""
        if len(extents) > 1:
            joined += sum(max(end - start, 0) for start, end in extents)
            spend("AVIF", joined, len(data), "bytes in pieces")
            content = b"".join(data[start:end] for start, end in extents)
        frames, position = 0, 0
        while position < len(content):
            kind, position = _unit(content, position)
            units += 1
            spend("AVIF", units, MAX_AVIF_UNITS, "units")
            frames += kind in (_FRAME_HEADER, _FRAME)
            spend("AVIF", frames, MAX_AVIF_FRAMES, "frames in one picture")


def _unit(content: "bytes | memoryview", position: int) -> tuple[int, int]:
    """Kind of the unit at a position, and the position behind the unit."""
    header = content[position]
    kind, has_extension, has_size = header >> 3 & 15, header & 4, header & 2
    position += 2 if has_extension else 1
    if not has_size:
        return kind, len(content)
    size = 0
    for shift in range(0, 56, 7):  # a number of 7 bits a byte, the lowest first
        if position >= len(content):
            break
        byte = content[position]
        position += 1
        size |= (byte & 127) << shift
        if byte < 128:
            break
    return kind, position + size
