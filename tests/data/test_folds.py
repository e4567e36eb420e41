"""Folds keep groups whole, and test every photo once a repeat."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.data.folds import Fold, draw_folds
from roadclear.data.folds import test_to_train as ratio_of
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.arrays import Indices


@st.composite
def photos_in_groups(draw: st.DrawFn) -> tuple[Indices, Indices]:
    """Targets and groups: at least 12 groups of one photo a label, and up to 8 larger ones, in any order."""
    sizes = draw(st.lists(st.tuples(st.integers(2, 6), st.sampled_from(["0", "1", "mixed"])), max_size=8))
    rows = [(number % 2, number) for number in range(24)]
    for number, (size, label) in enumerate(sizes, start=24):
        rows += [(photo % 2 if label == "mixed" else int(label), number) for photo in range(size)]
    order = draw(st.permutations(rows))
    return np.array([target for target, _ in order]), np.array([group for _, group in order])


def parts(fold: Fold) -> tuple[Indices, Indices, Indices]:
    return fold.train, fold.validation, fold.test


class TestFolds:
    @pytest.mark.slow
    @given(photos_in_groups(), st.integers(2, 5), st.integers(1, 2), st.integers(0, 100))
    @settings(max_examples=15)
    def test_every_photo_is_tested_once_a_repeat(
        self, photos: tuple[Indices, Indices], folds: int, repeats: int, seed: int
    ) -> None:
        drawn = draw_folds(*photos, folds, repeats, seed)
        assert len(drawn) == folds * repeats
        for repeat in range(repeats):
            tested = np.concatenate([fold.test for fold in drawn if fold.repeat == repeat])
            assert sorted(tested) == list(range(len(photos[0])))
        for fold in drawn:
            assert sorted(np.concatenate(parts(fold))) == list(range(len(photos[0])))

    @pytest.mark.slow
    @given(photos_in_groups(), st.integers(2, 5), st.integers(0, 100))
    @settings(max_examples=15)
    def test_no_group_is_on_two_sides_and_every_side_has_both_labels(
        self, photos: tuple[Indices, Indices], folds: int, seed: int
    ) -> None:
        targets, groups = photos
        for fold in draw_folds(targets, groups, folds, 1, seed):
            train, validation, test = (set(groups[part].tolist()) for part in parts(fold))
            assert not (train & validation or train & test or validation & test)
            assert all(set(targets[part].tolist()) == {0, 1} for part in parts(fold))

    @pytest.mark.slow
    @given(photos_in_groups(), st.integers(0, 100), st.randoms(use_true_random=False))
    @settings(max_examples=10)
    def test_the_order_of_photos_changes_nothing(
        self, photos: tuple[Indices, Indices], seed: int, random: Random
    ) -> None:
        targets, groups = photos
        order = np.array(random.sample(range(len(targets)), len(targets)))
        for one, other in zip(
            draw_folds(targets, groups, 4, 1, seed), draw_folds(targets[order], groups[order], 4, 1, seed), strict=True
        ):
            assert one.seed == other.seed
            for mine, theirs in zip(parts(one), parts(other), strict=True):
                assert sorted(mine.tolist()) == sorted(order[theirs].tolist())

    def test_repeats_differ_and_so_do_neighbouring_seeds(self) -> None:
        targets, groups = np.arange(60) % 2, np.arange(60)
        drawn = {
            tuple(fold.test.tolist()) for seed in (0, 1) for fold in draw_folds(targets, groups, 3, 4, seed)
        }  # fmt: skip
        assert len(drawn) == 2 * 3 * 4

    def test_kept_folds_stay_and_new_groups_fill_up(self) -> None:
        targets, groups = np.arange(100) % 2, np.arange(100) // 2
        before = np.full(120, -1)
        for number, fold in enumerate(draw_folds(targets, groups, 5, 1, 0)):
            before[fold.test] = number
        targets, groups = np.arange(120) % 2, np.arange(120) // 2
        after = draw_folds(1 - targets, groups, 5, 1, 0, before)
        for number, fold in enumerate(after):
            assert set(np.flatnonzero(before == number)) <= set(fold.test)
            assert len(fold.test) == 24

    def test_folds_are_of_one_size_and_one_mixture(self) -> None:
        targets, groups = (np.arange(200) % 4 == 0).astype(np.int64), np.arange(200) // 2
        for fold in draw_folds(targets, groups, 5, 2, 0):
            assert len(fold.test) == 40
            assert targets[fold.test].sum() == 10
            assert len(fold.validation) == pytest.approx(0.15 * 160, abs=4)

    @pytest.mark.parametrize(("folds", "repeats"), [(1, 1), (0, 1), (5, 0), (-3, 2)])
    def test_too_few_folds_or_repeats(self, folds: int, repeats: int) -> None:
        with pytest.raises(OptionError, match="at least 2 folds and 1 repeat, got"):
            draw_folds(np.arange(40) % 2, np.arange(40), folds, repeats, 0)

    @pytest.mark.parametrize(
        "groups",
        [np.arange(40) % 2, np.arange(40) % 8, np.where(np.arange(40) % 2, 0, np.arange(40)), np.zeros(40, int)],
        ids=["a group a label", "four groups a label", "one label in one group", "one group"],
    )
    def test_too_few_groups(self, groups: Indices) -> None:
        with pytest.raises(DatasetError, match="more scenes than the 5 folds") as caught:
            draw_folds(np.arange(40) % 2, groups, 5, 1, 0)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("folds", "ratio"), [(2, 1.0), (5, 0.25), (10, 1 / 9)])
def test_ratio_of_k_folds(folds: int, ratio: float) -> None:
    assert ratio_of(folds) == pytest.approx(ratio)
