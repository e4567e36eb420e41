"""PPM, PGM and PBM: the header, which is text."""

import re

from roadclear.images.limits import MAX_TEXT_HEADER_BYTES
from roadclear.images.structure.budget import Structure, spend

_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]")
_HEADER = re.compile(rb"P4\s+\d+\s+\d+\s|P[56]\s+\d+\s+\d+\s+\d+\s")


def walk_ppm(data: bytes) -> Structure:
    """Find the end of the header, which Pillow reads byte by byte.

    Raises:
        PhotoError: the header does not end soon.
    """
    head = _COMMENT.sub(b"\n", data[:MAX_TEXT_HEADER_BYTES])
    if not _HEADER.match(head):
        spend("PPM", len(data), MAX_TEXT_HEADER_BYTES, "bytes of header")
    return Structure(frames=1)
