"""Decoded photos are kept up to a limit, and given back once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from roadclear.features.decoded import DecodedPhotos


def photo(level: int) -> NDArray[np.uint8]:
    return np.full((10, 10, 3), level, np.uint8)


def test_a_photo_is_given_back_once() -> None:
    kept, pixels = DecodedPhotos(300), photo(7)
    kept.put("a", pixels)
    assert len(kept) == 1
    assert kept.take("a") is pixels
    assert len(kept) == 0
    assert kept.take("a") is None
    assert kept.take("b") is None


def test_no_more_than_the_limit_is_kept() -> None:
    kept = DecodedPhotos(650)
    for name in "abc":
        kept.put(name, photo(1))
    assert kept.take("c") is None
    assert kept.take("a") is not None
    kept.put("c", photo(2))  # in the room that is free again
    assert kept.take("c") is not None


def test_the_same_photo_counts_once() -> None:
    kept = DecodedPhotos(600)
    for _ in range(5):
        kept.put("a", photo(1))
    kept.put("b", photo(2))
    assert kept.take("b") is not None


def test_a_limit_of_nothing_keeps_nothing() -> None:
    kept = DecodedPhotos(0)
    kept.put("a", photo(1))
    assert kept.take("a") is None


def test_clear_makes_room() -> None:
    kept = DecodedPhotos(300)
    kept.put("a", photo(1))
    kept.clear()
    assert kept.take("a") is None
    kept.put("b", photo(2))
    assert kept.take("b") is not None


def test_threads_share_the_limit() -> None:
    kept = DecodedPhotos(300 * 40)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: kept.put(str(n), photo(n)), range(100)))
        found = list(pool.map(lambda n: kept.take(str(n)), range(100)))
    assert sum(one is not None for one in found) == 40
    assert all(one is None or (one == n).all() for n, one in enumerate(found))
