"""Inspection: every photo is read once, seen alike from the cache, and kept apart from what cannot be read."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from folders import encoded, photo, picture, write_folder
from PIL import Image

from roadclear.curation.inspection import InspectedPhoto, inspect
from roadclear.data.dataset import LabelledPhoto, load_folder
from roadclear.errors import PhotoError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.features.extractor import default_extractor
from roadclear.images.augment import PLAIN_VIEW


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "cache.sqlite") as opened:
        yield opened


@pytest.fixture
def photos(tmp_path: Path) -> tuple[LabelledPhoto, ...]:
    files = {
        "crossing/a.png": photo(1),
        "crossing/b.bmp": photo(1, "BMP"),
        "empty/c.jpg": b"",
        "empty/d.png": encoded(np.full((70, 90, 3), 7, np.uint8)),
    }
    return load_folder(write_folder(tmp_path / "photos", files)).photos


def seen(results: Iterator[InspectedPhoto | PhotoError]) -> list[list[object]]:
    """Results as values that can be compared."""
    return [
        [result.reason]
        if isinstance(result, PhotoError)
        else [result.sha256, *(vars(result.look) | {"fingerprint": result.look.fingerprint.tolist()}).values()]
        for result in results
    ]


def test_what_is_seen_of_a_photo(photos: tuple[LabelledPhoto, ...], cache: FeatureCache) -> None:
    sound, same, empty, blank = inspect(photos, cache, None)
    assert isinstance(sound, InspectedPhoto) and isinstance(same, InspectedPhoto) and isinstance(blank, InspectedPhoto)
    assert sound.sha256 == hashlib.sha256(photo(1)).hexdigest()
    assert (sound.bytes, sound.is_link) == (len(photo(1)), False)
    assert (sound.look.format, sound.look.width, sound.look.height) == ("PNG", 96, 80)
    squashed = np.asarray(Image.fromarray(picture(1)).resize((224, 224), Image.Resampling.BOX))
    assert sound.look.deviation == pytest.approx(squashed.std(axis=(0, 1)).max(), rel=0.05)
    assert same.look.pixels == sound.look.pixels != blank.look.pixels
    assert (same.look.fingerprint == sound.look.fingerprint).all()
    assert blank.look.deviation < 0.01
    assert isinstance(empty, PhotoError) and empty.reason == "the file is empty"


def test_a_second_look_needs_no_decoding_and_sees_the_same(
    photos: tuple[LabelledPhoto, ...], cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = seen(inspect(photos, cache, None))

    def refuse(*arguments: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("roadclear.curation.inspection.decode", refuse)
    assert seen(inspect(photos, cache, None)) == first


def test_the_cache_holds_the_embedding_of_every_readable_photo(
    photos: tuple[LabelledPhoto, ...], cache: FeatureCache
) -> None:
    extractor = default_extractor(cache)
    hashes = [r.sha256 for r in inspect(photos, cache, extractor) if isinstance(r, InspectedPhoto)]
    assert extractor.load(hashes, PLAIN_VIEW).shape == (3, 1280)


def test_progress_is_called_after_every_photo(photos: tuple[LabelledPhoto, ...], cache: FeatureCache) -> None:
    calls: list[tuple[str, int, int]] = []
    list(inspect(photos, cache, None, lambda *progress: calls.append(progress)))
    assert calls == [("Looking at photos", done, 4) for done in (1, 2, 3, 4)]
