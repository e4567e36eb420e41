"""20,000 damaged files, the same ones every time: each is a photo or a PhotoError, never anything else."""

from collections.abc import Callable

import numpy as np
import pytest
from drawings import drawing, encoded, oriented, tiff_file, tiff_tags
from PIL import Image

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

SMALL = drawing(width=24, height=16)
PALETTE = Image.fromarray(SMALL).quantize(8)
CLEAR = np.dstack([SMALL, np.full((16, 24, 1), 99, np.uint8)])
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (24, 16))]}
TURNED = {"exif": oriented(6)}

SEEDS: dict[str, tuple[bytes, ...]] = {
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
MUTANTS_OF_A_FORMAT = 2_500

Mutation = Callable[[np.random.Generator, bytearray], bytearray]
EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


def flip_bits(rng: np.random.Generator, data: bytearray) -> bytearray:
    for position in rng.integers(0, len(data), rng.integers(1, 9)):
        data[position] ^= 1 << rng.integers(8)
    return data


def set_bytes(rng: np.random.Generator, data: bytearray) -> bytearray:
    """Write a run of one extreme value, as sizes and offsets like least."""
    start, length = rng.integers(0, len(data)), rng.integers(1, 5)
    data[start : start + length] = bytes([rng.choice(EXTREMES)]) * int(length)
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


@pytest.mark.slow
@pytest.mark.parametrize("format_name", SEEDS)
def test_damaged_files_are_photos_or_photo_errors(format_name: str) -> None:
    rng = np.random.default_rng(list(format_name.encode()))
    seeds, read, refused = SEEDS[format_name], 0, 0
    for number in range(MUTANTS_OF_A_FORMAT):
        mutant = bytearray(seeds[number % len(seeds)])
        for mutation in rng.choice(len(MUTATIONS), rng.integers(1, 3)):
            mutant = MUTATIONS[mutation](rng, mutant) or bytearray(b"\0")
        size = (None, 16)[number % 2]
        try:
            pixels = decode(bytes(mutant), size)
        except PhotoError as error:
            refused += 1
            assert error.reason.isprintable(), mutant.hex()
        else:
            read += 1
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, mutant.hex()
            assert size is None or pixels.shape == (size, size, 3), mutant.hex()
    assert read > 20 and refused > 20, "the damage is either always fatal or never noticed"


@pytest.mark.parametrize("format_name", SEEDS)
def test_damaged_headers_are_identified_or_refused(format_name: str) -> None:
    rng = np.random.default_rng(list(format_name.encode()))
    for seed in SEEDS[format_name]:
        for _ in range(100):
            try:
                info = identify(bytes(damage_header(rng, bytearray(seed))))
            except PhotoError:
                continue
            assert info.width > 0 and info.height > 0 and info.frames > 0
