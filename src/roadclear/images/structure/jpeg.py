"""JPEG: segments before the first scan, and the scans (ITU-T T.81, Annex B)."""

import re
from dataclasses import dataclass

from roadclear.images.limits import (
    MAX_EXIF_SEGMENTS,
    MAX_JUNK_BYTES,
    MAX_METADATA_BYTES,
    MAX_PHOTOSHOP_SEGMENTS,
    MAX_SCAN_SAMPLES,
    MAX_SCANS,
    MAX_SEGMENTS,
    MAX_WORKING_BYTES,
)
from roadclear.images.structure.budget import Structure, spend

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xDE}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
_BARE = frozenset({0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})
_SOS, _EOI, _APP1, _APP13 = 0xDA, 0xD9, 0xE1, 0xED
# A coefficient of an arithmetic scan takes up to ten decisions, and a byte of the file may hold hundreds of them.
_ARITHMETIC_COST = 20
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_COEFFICIENT_BYTES = 2
_NO_MARKER = frozenset({0x00, 0xFF})  # an escaped byte, and a fill byte
_ONE_FRAME = Structure(frames=1)


@dataclass(frozen=True)
class _Frame:
    """What a frame header says: marker, size, and the samples of each component by its identifier."""

    marker: int
    pixels: int
    samples: dict[int, int]


def walk_jpeg(data: bytes) -> Structure:
    """Walk the segments of a JPEG, and its scans where they are decoded one after another.

    Raises:
        PhotoError: there are too many segments, bytes of metadata, bytes between segments, or scans.
    """
    frame_at, scan_at = _walk_segments(data)
    if frame_at is None or scan_at is None or _decoded_row_by_row(data, frame_at, scan_at):
        return _ONE_FRAME
    frame = _read_frame(data, frame_at)
    if frame is None:
        return _ONE_FRAME
    coefficients = _COEFFICIENT_BYTES * sum(frame.samples.values())
    if coefficients <= MAX_WORKING_BYTES:  # a photo with more is refused as too large, before its scans are decoded
        _walk_scans(data, scan_at, frame)
    return Structure(frames=1, decoder_bytes=coefficients)


def _walk_segments(data: bytes) -> tuple[int | None, int | None]:
    """Walk to the first scan as Pillow does; return the positions of the frame's and of the scan's marker."""
    frame_at = None
    position, segments, metadata, exif, photoshop, junk = 2, 0, 0, 0, 0, 0
    while (found := data.find(b"\xff", position)) >= 0 and found + 1 < len(data):
        marker = data[found + 1]
        if found > position or marker in _NO_MARKER:
            junk += found - position + (marker in _NO_MARKER)
            spend("JPEG", junk, MAX_JUNK_BYTES, "bytes between segments")
            if marker in _NO_MARKER:
                position = found + (1 if marker else 2)
                continue
        if marker == _SOS:
            return frame_at, found
        segments += 1
        if marker in _BARE:
            length = 0
        else:
            length = max(data[found + 2] << 8 | data[found + 3], 2) if found + 3 < len(data) else 2
        metadata += length
        if segments > MAX_SEGMENTS or metadata > MAX_METADATA_BYTES:
            spend("JPEG", segments, MAX_SEGMENTS, "segments before its picture")
            spend("JPEG", metadata, MAX_METADATA_BYTES, "bytes of metadata")
        if marker == _APP1 and data.startswith(b"Exif\0\0", found + 4):
            exif += 1
            spend("JPEG", exif, MAX_EXIF_SEGMENTS, "Exif segments")
        elif marker == _APP13:
            photoshop += 1
            spend("JPEG", photoshop, MAX_PHOTOSHOP_SEGMENTS, "Photoshop segments")
        if marker in _SOF:
            frame_at = found
        position = found + 2 + length
    return frame_at, None


def _decoded_row_by_row(data: bytes, frame_at: int, scan_at: int) -> bool:
    """Return whether there is one scan with all components, so that no coefficients are held."""
    marker = data[frame_at + 1]
    components = data[frame_at + 9] if frame_at + 9 < len(data) else 0
    in_scan = data[scan_at + 4] if scan_at + 4 < len(data) else 0
    return marker not in _PROGRESSIVE and marker not in _ARITHMETIC and in_scan >= components


def _read_frame(data: bytes, position: int) -> _Frame | None:
    """Read the frame header whose marker is at a position; None where the header is cut."""
    body = data[position + 4 : position + 2 + (data[position + 2] << 8 | data[position + 3])]
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        return None
    pixels = int.from_bytes(body[1:3]) * int.from_bytes(body[3:5])
    layers = [(body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)]
    largest = max((across for _, across, _ in layers), default=1) * max((down for _, _, down in layers), default=1)
    return _Frame(
        data[position + 1], pixels, {name: pixels * across * down // max(largest, 1) for name, across, down in layers}
    )


def _walk_scans(data: bytes, position: int, frame: _Frame) -> None:
    """Add up what the scans cost. Every scan, even an empty one, is a pass over the coefficients of its components."""
    cost = _ARITHMETIC_COST if frame.marker in _ARITHMETIC else 1
    scans, samples, markers = 0, 0, 0
    while (match := _MARKER_IN_SCAN.search(data, position)) is not None:
        marker, body = data[match.end() - 1], match.end()
        if marker == _EOI:
            return
        markers += 1
        spend("JPEG", markers, MAX_SEGMENTS + 10 * MAX_SCANS, "segments between its scans")
        if marker == _SOS:
            scans += 1
            spend("JPEG", scans, MAX_SCANS, "scans")
            samples += cost * sum(
                frame.samples.get(name, frame.pixels) for name in _scan_components(data, match.start())
            )
            spend("JPEG", samples, MAX_SCAN_SAMPLES, "samples in all scans together")
        bare = marker in _BARE or marker < 0xC0
        position = body if bare else body + max(int.from_bytes(data[body : body + 2]), 2)


def _scan_components(data: bytes, position: int) -> bytes:
    """Identifiers of the components in the scan whose marker is at a position."""
    count = data[position + 4] if position + 4 < len(data) else 0
    return data[position + 5 : position + 5 + 2 * count : 2]
