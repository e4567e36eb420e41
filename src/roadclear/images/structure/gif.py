"""GIF: its extensions and frames (GIF89a specification, CompuServe 1990)."""

from roadclear.images.limits import MAX_GIF_BLOCKS, MAX_GIF_FRAMES, MAX_HEADER_BLOCKS
from roadclear.images.structure.budget import Structure, spend

_EXTENSION, _FRAME, _END = b"!,;"


def walk_gif(data: bytes) -> Structure:
    """Walk the blocks of a GIF to its end, and count its frames.

    Raises:
        PhotoError: there are too many blocks before the first frame, or blocks or frames in all.
    """
    position = _after_palette(data, 10, 13)
    frames, blocks = 0, 0
    while position < len(data) and data[position] != _END:
        kind = data[position]
        position += 1
        blocks += 1
        if kind == _EXTENSION:
            position += 1
        elif kind == _FRAME:
            if position + 10 > len(data):
                break
            frames += 1
            spend("GIF", frames, MAX_GIF_FRAMES, "frames")
            position = _after_palette(data, position + 8, position + 9) + 1
        else:
            spend("GIF", blocks, MAX_HEADER_BLOCKS if not frames else MAX_GIF_BLOCKS, "blocks")
            continue
        while position < len(data) and data[position]:
            position += 1 + data[position]
            blocks += 1
            if blocks > MAX_HEADER_BLOCKS:  # a comparison that the many blocks of long animations can afford
                spend("GIF", blocks, MAX_GIF_BLOCKS, "blocks")
                spend("GIF", blocks if not frames else 0, MAX_HEADER_BLOCKS, "blocks before its picture")
        position += 1
    return Structure(frames=max(frames, 1))


def _after_palette(data: bytes, flags_at: int, position: int) -> int:
    flags = data[flags_at] if flags_at < len(data) else 0
    return position + (3 << ((flags & 7) + 1) if flags & 128 else 0)
