"""Perceptual hashes: what they outlast, and what they tell apart."""

from io import BytesIO

import numpy as np
import pytest
from copies import CHANGES, SIZE, as_read, soft_pattern
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from roadclear.data.near_duplicates.rules import COPY, hash_distance
from roadclear.images.phash import fingerprint

SEEDS = st.integers(0, 2**32 - 1)
MIRROR = CHANGES["mirrored"]


def bits(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int:
    return int(hash_distance(a[np.newaxis], b[np.newaxis])[0])


def pixels(seed: int) -> NDArray[np.uint8]:
    return np.asarray(soft_pattern(seed, SIZE, SIZE))


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def test_two_hashes_of_64_bits() -> None:
    found = fingerprint(pixels(1))
    assert found.dtype == np.uint64
    assert found.shape == (2,)


@given(SEEDS)
def test_it_is_a_function_of_the_pixels(seed: int) -> None:
    photo = pixels(seed)
    before = photo.copy()
    assert np.array_equal(fingerprint(photo), fingerprint(photo))
    assert np.array_equal(photo, before)


@given(SEEDS)
def test_the_definition(seed: int) -> None:
    """The 8 x 8 lowest cosine frequencies of the 7 x 7 block means, each against their median."""
    photo = pixels(seed)
    blocks = (photo @ (0.299, 0.587, 0.114)).round().reshape(32, 7, 32, 7).mean(axis=(1, 3)).round()
    k, x = np.arange(8)[:, np.newaxis], np.arange(32)
    basis = np.sqrt(2 / 32) * np.cos(np.pi * k * (2 * x + 1) / 64)
    basis[0] /= np.sqrt(2)
    frequencies = basis @ blocks @ basis.T
    margin = np.abs(frequencies - np.median(frequencies))
    expected = [(row > np.median(frequencies)) for row in frequencies.ravel()]
    found = np.unpackbits(fingerprint(photo)[:1].astype(">u8").view(np.uint8)).astype(bool)
    # A block mean that ends in one half may be rounded either way, and a frequency near the median then falls there.
    clear = margin.ravel() > 1.5
    assert clear.sum() > 40
    assert np.array_equal(found[clear], np.array(expected)[clear])


@given(SEEDS)
def test_the_second_hash_is_that_of_the_mirrored_photo(seed: int) -> None:
    photo = pixels(seed)
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    assert np.bitwise_count(fingerprint(photo) ^ fingerprint(mirrored)[::-1]).max() <= 2


@pytest.mark.parametrize("change", ["resized", "squeezed", "grey", "mirrored", "lighter", "darker"])
def test_changes_that_it_outlasts(change: str) -> None:
    for seed in range(20):
        photo = soft_pattern(seed)
        assert bits(fingerprint(as_read(photo)), fingerprint(as_read(CHANGES[change](photo)))) <= COPY.bits


@pytest.mark.parametrize("quality", [95, 60, 30])
def test_compression_that_it_outlasts(quality: int) -> None:
    for seed in range(20):
        photo = soft_pattern(seed)
        assert bits(fingerprint(as_read(photo, 95)), fingerprint(as_read(photo, quality))) <= COPY.bits


@given(st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_different_photos_are_told_apart(seeds: list[int]) -> None:
    assert bits(*(fingerprint(pixels(seed)) for seed in seeds)) > COPY.bits


@given(st.integers(0, 255), st.integers(0, 255))
def test_even_colours_are_one_picture(level: int, other: int) -> None:
    assert bits(fingerprint(flat(level)), fingerprint(flat(other))) <= 1


def test_even_colours_stay_one_picture_as_jpeg() -> None:
    assert len({fingerprint(as_read(Image.new("RGB", (300, 200), (9, 120, 200)), q)).tobytes() for q in (95, 30)}) == 1


@pytest.mark.parametrize("size", [32, 224, 320, 448])
def test_any_size_will_do(size: int) -> None:
    photo = soft_pattern(3)
    found = fingerprint(np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR)))
    assert bits(found, fingerprint(as_read(photo))) <= COPY.bits


def test_real_photos_keep_their_hash_when_they_are_saved_again(roads_sample: list[bytes]) -> None:
    for data in roads_sample:
        photo = Image.open(BytesIO(data)).convert("RGB")
        assert bits(fingerprint(as_read(photo, 95)), fingerprint(as_read(photo, 60))) <= COPY.bits


@pytest.fixture(scope="module")
def roads_sample(roads) -> list[bytes]:  # type: ignore[no-untyped-def]
    files = sorted(roads.glob("*/*.jpg"))
    chosen = np.random.default_rng(0).choice(len(files), 40, replace=False)
    return [files[i].read_bytes() for i in chosen]
