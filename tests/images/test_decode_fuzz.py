"""20,000 damaged files, the same ones every time: each is a photo or a PhotoError, never anything else."""

import numpy as np
import pytest
from mutants import MUTATIONS, PHOTOS, damage_header

from roadclear.errors import PhotoError
from roadclear.images.decode import decode, identify

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

MUTANTS_OF_A_FORMAT = 2_500


@pytest.mark.slow
@pytest.mark.parametrize("format_name", PHOTOS)
def test_damaged_files_are_photos_or_photo_errors(format_name: str) -> None:
    rng = np.random.default_rng(list(format_name.encode()))
    seeds, read, refused = PHOTOS[format_name], 0, 0
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


@pytest.mark.parametrize("format_name", PHOTOS)
def test_damaged_headers_are_identified_or_refused(format_name: str) -> None:
    rng = np.random.default_rng(list(format_name.encode()))
    for seed in PHOTOS[format_name]:
        for _ in range(100):
            try:
                info = identify(bytes(damage_header(rng, bytearray(seed))))
            except PhotoError:
                continue
            assert info.width > 0 and info.height > 0 and info.frames > 0
