"""Small sound files of every kind, and random damage to them."""

import random
from collections.abc import Callable, Sequence

import numpy as np
from drawings import drawing, encoded, oriented, tiff_file, tiff_tags
from PIL import Image

SMALL = drawing(width=24, height=16)
PALETTE = Image.fromarray(SMALL).quantize(8)
CLEAR = np.dstack([SMALL, np.full((16, 24, 1), 99, np.uint8)])
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (24, 16))]}
TURNED = {"exif": oriented(6)}

PHOTOS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (
        encoded(SMALL, "JPEG", **TURNED),
        encoded(SMALL, "JPEG", progressive=True),
        encoded(Image.fromarray(SMALL).convert("CMYK"), "JPEG"),
        encoded(SMALL[:, :, 0].copy(), "JPEG"),
    ),
    "PNG": (
        encoded(CLEAR, "PNG", **TURNED),
        encoded(PALETTE, "PNG", transparency=1),
        encoded(SMALL, "PNG", **FRAMES),
        encoded(SMALL[:, :, 0].astype(np.uint16) * 257, "PNG"),
    ),
    "WEBP": (
        encoded(CLEAR, "WEBP", **TURNED),
        encoded(SMALL, "WEBP", lossless=True),
        encoded(SMALL, "WEBP", **FRAMES),
    ),
    "AVIF": (encoded(CLEAR, "AVIF", **TURNED), encoded(SMALL, "AVIF", **FRAMES)),
    "TIFF": (
        encoded(SMALL, "TIFF", **TURNED),
        encoded(SMALL, "TIFF", compression="tiff_lzw"),
        encoded(SMALL, "TIFF", compression="tiff_adobe_deflate"),
        encoded(SMALL, "TIFF", compression="jpeg"),
        encoded(SMALL[:, :, 0].astype(np.float32), "TIFF"),
        encoded(SMALL, "TIFF", **FRAMES),
        tiff_file(tiff_tags(24, 16)),
    ),
    "BMP": (encoded(SMALL, "BMP"), encoded(PALETTE, "BMP")),
    "GIF": (encoded(PALETTE, "GIF", transparency=1), encoded(SMALL, "GIF", **FRAMES)),
    "PPM": (encoded(SMALL, "PPM"), encoded(SMALL[:, :, 0].copy(), "PPM"), b"P6 24 16 10\n" + SMALL.tobytes()),
}
"""Photos of 24 x 16 pixels by format."""

Mutation = Callable[[np.random.Generator, bytearray], bytearray]
_EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def flip_bits(rng: np.random.Generator, data: bytearray) -> bytearray:
    for position in rng.integers(0, len(data), rng.integers(1, 9)):
        data[position] ^= 1 << rng.integers(8)
    return data


def set_bytes(rng: np.random.Generator, data: bytearray) -> bytearray:
    """Write a run of one extreme value, as sizes and offsets like least."""
    start, length = rng.integers(0, len(data)), rng.integers(1, 5)
    data[start : start + length] = bytes([rng.choice(_EXTREMES)]) * int(length)
    return data


def damage_header(rng: np.random.Generator, data: bytearray) -> bytearray:
    for position in rng.integers(0, min(len(data), 64), 2):
        data[position] = rng.integers(256)
    return data


def cut(rng: np.random.Generator, data: bytearray) -> bytearray:
    return data[: rng.integers(0, len(data))]


def remove(rng: np.random.Generator, data: bytearray) -> bytearray:
    start, length = rng.integers(0, len(data)), rng.integers(1, 40)
    return data[:start] + data[start + length :]


def splice(rng: np.random.Generator, data: bytearray) -> bytearray:
    """Repeat a piece of the file elsewhere in it."""
    start, target = rng.integers(0, len(data), 2)
    piece = data[start : start + rng.integers(1, 200)]
    return data[:target] + piece + data[target:]


MUTATIONS: tuple[Mutation, ...] = (flip_bits, set_bytes, damage_header, cut, remove, splice)


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """A file with one or two kinds of damage. Never empty."""
    mutant = bytearray(data)
    for mutation in rng.choice(len(MUTATIONS), rng.integers(1, 3)):
        mutant = MUTATIONS[mutation](rng, mutant) or bytearray(b"\0")
    return bytes(mutant)


_WORDS = (
    b"..",
    b"../",
    b"/",
    b"/tmp/x",
    b"\\",
    b'"',
    b",",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"'",
    b"=1+1",
    b".quarantine/",
)


def damaged_text(rng: np.random.Generator, data: bytes) -> bytes:
    """A table with damage, or with signs and paths that a reader may stumble over."""
    if rng.random() < 0.3:
        return damaged(rng, data)
    mutant = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 4)):
        taken = int(rng.integers(0, 3)) * int(rng.integers(0, 12))
        mutant[place : place + taken] = _WORDS[rng.integers(len(_WORDS))]
    return bytes(mutant)


def changed_at(data: bytes, places: Sequence[int], draw: random.Random) -> bytes:
    """Some bytes at the given places changed, taken out or put in."""
    content = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        at = min(draw.choice(places), len(content) - 1)
        how = draw.randrange(5)
        if how < 2:
            content[at] ^= 1 << draw.randrange(8)
        elif how == 2:
            content[at] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif how == 3:
            del content[at : at + draw.randrange(1, 20)]
        else:
            content[at : at + 5] = draw.choice([b"nan  ", b"inf  ", b"-1   ", b"1e999", b"\x1b[31m"])
    return bytes(content)


def model_places(data: bytes, part: str) -> list[int]:
    """The bytes of a model file that are no weights, before or after the start of the metadata."""
    import onnx

    free = np.ones(len(data), bool)
    for one in onnx.ModelProto.FromString(data).graph.initializer:
        if len(one.raw_data) > 64:
            at = data.find(one.raw_data)
            free[at : at + len(one.raw_data)] = False
    start = data.find(b"roadclear.format_version") - 8
    return [int(place) for place in np.flatnonzero(free) if (place >= start) == (part == "metadata")]
