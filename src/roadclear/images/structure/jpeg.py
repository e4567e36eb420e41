"""JPEG: segments before the first scan, and the scans (ITU-T T.81, Annex B)."""

import re
from dataclasses import dataclass

from roadclear.images.limits import (
    MAX_EXIF_SEGMENTS,
    MAX_JUNK_BYTES,
    MAX_METADATA_BYTES,
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
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
# A coefficient of an arithmetic scan takes up to ten decisions, and a byte of the file may hold hundreds of them.
_ARITHMETIC_COST = 20
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_COEFFICIENT_BYTES = 2


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
    frame, scan = _walk_segments(data)
    if frame is None or scan is None:
        return Structure(frames=1)
    components = _scan_components(data, scan)
    if frame.marker not in _PROGRESSIVE | _ARITHMETIC and len(components) >= len(frame.samples):
        return Structure(frames=1)  # one scan with all components is decoded row by row
    coefficients = _COEFFICIENT_BYTES * sum(frame.samples.values())
    if coefficients <= MAX_WORKING_BYTES:  # a photo with more is refused as too large, before its scans are decoded
        _walk_scans(data, scan, frame)
    return Structure(frames=1, decoder_bytes=coefficients)


def _walk_segments(data: bytes) -> tuple[_Frame | None, int | None]:
    """Walk to the first scan as Pillow does; return the frame, and the position of the scan's marker."""
    frame = None
    position, segments, metadata, exif, junk = 2, 0, 0, 0, 0
    while (found := data.find(b"\xff", position)) >= 0 and found + 1 < len(data):
        marker = data[found + 1]
        junk += found - position
        spend("JPEG", junk, MAX_JUNK_BYTES, "bytes between segments")
        if marker in (0x00, 0xFF):
            junk += 1
            position = found + 2 - (marker == 0xFF)
            continue
        if marker == _SOS:
            return frame, found
        segments += 1
        spend("JPEG", segments, MAX_SEGMENTS, "segments before its picture")
        if marker in _BARE:
            position = found + 2
            continue
        body = found + 4
        length = max(int.from_bytes(data[found + 2 : body]) - 2, 0)
        metadata += length
        spend("JPEG", metadata, MAX_METADATA_BYTES, "bytes of metadata")
        if marker == _APP1 and data.startswith(b"Exif\0\0", body):
            exif += 1
            spend("JPEG", exif, MAX_EXIF_SEGMENTS, "Exif segments")
        if marker in _SOF:
            frame = _read_frame(marker, data[body : body + length])
        position = body + length
    return frame, None


def _read_frame(marker: int, body: bytes) -> _Frame | None:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        return None
    pixels = int.from_bytes(body[1:3]) * int.from_bytes(body[3:5])
    layers = [(body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)]
    largest = max((across for _, across, _ in layers), default=1) * max((down for _, _, down in layers), default=1)
    return _Frame(marker, pixels, {name: pixels * across * down // max(largest, 1) for name, across, down in layers})


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
            samples += cost * sum(frame.samples.get(name, frame.pixels) for name in _scan_components(data, match.start()))
            spend("JPEG", samples, MAX_SCAN_SAMPLES, "samples in all scans together")
        bare = marker in _BARE or marker < 0xC0
        position = body if bare else body + max(int.from_bytes(data[body : body + 2]), 2)


def _scan_components(data: bytes, position: int) -> bytes:
    """Identifiers of the components in the scan whose marker is at a position."""
    count = data[position + 4] if position + 4 < len(data) else 0
    return data[position + 5 : position + 5 + 2 * count : 2]
