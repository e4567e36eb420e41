"""Photos that the start has seen are never held out while enough others remain, and prescribed splits are kept."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.data.split import SHARES, TEST, TRAIN, VALIDATION, assign_splits
from roadclear.training.splitting import Draw


def drawn(photos: int, groups: int | None = None, seed: int = 0) -> Draw:
    labels = ["crossing" if number % 2 else "empty" for number in range(photos)]
    numbers = np.arange(photos) if groups is None else np.random.default_rng(seed).integers(0, groups, photos)
    hashes = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(photos)]
    return Draw(labels, numbers, hashes, seed, SHARES)


def without_start(draw: Draw) -> list[str]:
    return assign_splits(draw.labels, draw.groups, draw.seed, None, draw.shares, draw.hashes)


@given(st.integers(0, 99), st.integers(40, 120), st.floats(0.01, 0.5))
def test_groups_with_seen_photos_come_whole_to_the_training_photos(seed: int, groups: int, share: float) -> None:
    draw = drawn(160, groups, seed)
    seen = np.random.default_rng(seed).random(160) < share / 4
    splits = np.array(draw.splits(None, seen))
    assert set(splits[np.isin(draw.groups, draw.groups[seen])]) <= {TRAIN}
    assert {(split, label) for split, label in zip(splits, draw.labels, strict=True)} == {
        (split, label) for split in SHARES for label in ("crossing", "empty")
    }


@pytest.mark.parametrize(
    ("seen", "held_out"),
    [(0, 45), (30, 45), (120, 45), (210, 30), (255, 15)],
    ids=["none", "few", "many", "most", "nearly all"],
)
def test_the_other_splits_keep_their_size_up_to_a_third_of_the_unseen_photos(seen: int, held_out: int) -> None:
    splits = drawn(300).splits(None, np.arange(300) < seen)
    counts = {split: splits.count(split) for split in SHARES}
    assert counts[VALIDATION] == pytest.approx(held_out, abs=3)
    assert counts[TEST] == pytest.approx(held_out, abs=3)


def test_without_a_seen_photo_nothing_changes() -> None:
    draw = drawn(100, 60)
    assert draw.splits(None, np.zeros(100, np.bool_)) == without_start(draw)


@pytest.mark.parametrize("unseen", [[], [1, 2], [1, 3, 5, 7, 9, 11]], ids=["none", "one of each", "one label alone"])
def test_with_too_few_others_all_are_drawn_alike(unseen: list[int]) -> None:
    draw = drawn(60)
    assert draw.splits(None, ~np.isin(np.arange(60), unseen)) == without_start(draw)


def test_prescribed_splits_are_kept() -> None:
    draw = drawn(60)
    fixed = [(TRAIN, TRAIN, VALIDATION, TEST)[number // 2 % 4] for number in range(60)]
    assert draw.splits(fixed, np.ones(60, np.bool_)) == fixed
