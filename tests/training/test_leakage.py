"""Leakage: what a split that parts groups would have claimed, against one that keeps groups whole."""

from dataclasses import replace

import numpy as np
import pytest

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.training import prepare
from roadclear.training.leakage import measure_leakage
from roadclear.training.prepare import PreparedData

N = 120


@pytest.fixture(scope="module")
def copied(prepared: PreparedData) -> PreparedData:
    """Embeddings from which no label can be told, each in two photos of one label and group."""
    draw = np.random.default_rng(0)
    once = draw.normal(size=(N // 2, 1280)).astype(np.float32)
    groups = np.repeat(np.arange(N // 2), 2)
    photos = [replace(prepared.photos[0], label="crossing" if group % 2 else "empty") for group in groups]
    splits = [(TRAIN, TRAIN, VALIDATION, TEST)[group % 4] for group in groups]
    return replace(
        prepared,
        photos=tuple(photos),
        hashes=tuple(map(str, range(N))),
        embeddings=np.repeat(once, 2, axis=0),
        look_alikes=np.where(groups < 10, groups, 10 + np.arange(N)),
        groups=groups,
        splits=tuple(splits),
    )


def test_copies_on_both_sides_flatter_and_whole_groups_do_not(copied: PreparedData) -> None:
    found = measure_leakage(copied, seed=0)
    assert found.random_split_accuracy is not None and found.grouped_split_accuracy is not None
    assert found.random_split_accuracy > 0.7
    assert 0.3 < found.grouped_split_accuracy < 0.65


def test_counts(copied: PreparedData) -> None:
    found = measure_leakage(copied, seed=0)
    assert (found.groups, found.grouped_photos) == (N // 2, N)
    assert (found.look_alike_groups, found.look_alike_photos) == (10, 20)
    assert found.leaking_photos == 0
    # Of 36 photos outside the training split, 70% have their copy in training.
    assert found.expected_leaks == pytest.approx(36 * 0.7, abs=5)


def test_a_prescribed_split_that_parts_groups_is_counted(copied: PreparedData) -> None:
    parted = replace(copied, splits=(TRAIN, TEST) * (N // 4) + (TRAIN, VALIDATION) * (N // 4))
    assert measure_leakage(parted, seed=0).leaking_photos == N // 2


def test_without_groups_nothing_can_leak(copied: PreparedData) -> None:
    alone = replace(copied, groups=np.arange(N), look_alikes=np.arange(N))
    found = measure_leakage(alone, seed=0)
    assert (found.groups, found.look_alike_groups, found.leaking_photos, found.expected_leaks) == (0, 0, 0, 0.0)
    assert found.random_split_accuracy == found.grouped_split_accuracy


def test_without_a_test_split_there_is_no_accuracy(copied: PreparedData) -> None:
    found = measure_leakage(replace(copied, shares={TRAIN: 0.85, VALIDATION: 0.15}), seed=0)
    assert found.random_split_accuracy is found.grouped_split_accuracy is None
    assert found.expected_leaks > 0


def test_groups_that_cannot_be_split_are_passed_over(copied: PreparedData) -> None:
    """Two groups cannot fill three splits: only the plain random split has an accuracy."""
    found = measure_leakage(replace(copied, groups=copied.targets.astype(np.intp)), seed=0)
    assert found.grouped_split_accuracy is None
    assert found.random_split_accuracy is not None


def test_many_photos_are_sampled_and_the_result_says_so(copied: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure_leakage(copied, seed=0).sample is None
    monkeypatch.setattr(prepare, "MOST_SAMPLED", 60)
    found = measure_leakage(copied, seed=0)
    assert found.sample == 60
    assert (found.groups, found.grouped_photos) == (N // 2, N)  # of all photos
    assert found.expected_leaks == pytest.approx(36 * 0.7, abs=8)
