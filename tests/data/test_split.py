"""Parts near their shares, of whole groups, with both labels in each, drawn by a seed."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from roadclear.data.groups import group_ids
from roadclear.data.split import SHARES, SPLITS, TEST, TRAIN, VALIDATION, assign_splits, keep_splits, leaking_photos
from roadclear.errors import DatasetError

Groups = NDArray[np.intp]
YES, NO = "crossing", "empty"


def alone(n: int) -> Groups:
    return np.arange(n)


def share(parts: Sequence[str], part: str, chosen: Sequence[bool] | None = None) -> float:
    """The part's share of all photos, or of the chosen ones."""
    among = [p for p, c in zip(parts, chosen or [True] * len(parts), strict=True) if c]
    return among.count(part) / len(among)


def labelled_groups(*sizes: tuple[int, int]) -> tuple[list[str], Groups]:
    """Labels and groups of photos, from the (crossing, empty) photos of each group."""
    labels = [label for yes, no in sizes for label in [YES] * yes + [NO] * no]
    return labels, np.repeat(np.arange(len(sizes)), [yes + no for yes, no in sizes])


class TestShares:
    @pytest.mark.parametrize("n", [100, 1000])
    @pytest.mark.parametrize("positive_share", [0.5, 0.1])
    def test_single_photos_are_spread_by_the_shares_of_both_labels(self, n: int, positive_share: float) -> None:
        labels = [YES if number < n * positive_share else NO for number in range(n)]
        parts = assign_splits(labels, alone(n), seed=0)
        for part, wanted in SHARES.items():
            for label in (YES, NO):
                found = sum(p == part and other == label for p, other in zip(parts, labels, strict=True))
                assert abs(found - wanted * labels.count(label)) < 1, (part, label)

    @pytest.mark.slow
    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), data=st.data())
    def test_groups_are_spread_by_the_shares_of_both_labels(self, seed: int, data: st.DataObject) -> None:
        """Forty groups of up to eight photos: at most about half a group is over or under."""
        sizes = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=40, max_size=60))
        labels, groups = labelled_groups(*(size for size in sizes if sum(size)))
        assume(min(Counter(labels).get(label, 0) for label in (YES, NO)) >= 40)
        parts = assign_splits(labels, groups, seed)
        for part, wanted in SHARES.items():
            for label in (YES, NO):
                found = share(parts, part, [other == label for other in labels])
                assert found == pytest.approx(wanted, abs=0.1)

    def test_other_shares(self) -> None:
        parts = assign_splits([YES, NO] * 100, alone(200), 0, shares={TRAIN: 0.85, VALIDATION: 0.15})
        assert Counter(parts) == {TRAIN: 170, VALIDATION: 30}

    def test_shares_need_not_sum_to_one(self) -> None:
        shares = {TRAIN: 2, VALIDATION: 1, TEST: 1}
        assert Counter(assign_splits([YES, NO] * 100, alone(200), 0, shares=shares)) == {
            TRAIN: 100,
            VALIDATION: 50,
            TEST: 50,
        }


class TestGroups:
    @pytest.mark.slow
    @settings(max_examples=100, deadline=None)
    @given(data=st.data(), seed=st.integers(0, 100))
    def test_no_group_straddles_two_parts(self, data: st.DataObject, seed: int) -> None:
        rows = data.draw(st.lists(st.tuples(st.sampled_from([YES, NO]), st.integers(0, 30)), min_size=1, max_size=120))
        groups = group_ids([[number] for _, number in rows])
        try:
            parts = assign_splits([label for label, _ in rows], groups, seed)
        except DatasetError:
            return
        assert all(len({p for p, g in zip(parts, groups, strict=True) if g == group}) == 1 for group in set(groups))
        assert not leaking_photos(groups, parts).any()

    def test_a_large_group_has_its_chance_of_every_part(self) -> None:
        """Put into train for its size, the test would be about small groups alone."""
        labels, groups = labelled_groups((8, 8), *[(1, 1)] * 200)
        homes = Counter(assign_splits(labels, groups, seed)[0] for seed in range(100))
        assert homes.keys() == set(SPLITS)
        assert homes[TRAIN] / 100 == pytest.approx(SHARES[TRAIN], abs=0.15)

    def test_a_group_as_large_as_a_part_comes_into_every_part(self) -> None:
        labels, groups = labelled_groups((8, 8), *[(1, 1)] * 45)
        homes = {assign_splits(labels, groups, seed)[0] for seed in range(100)}
        assert homes == set(SPLITS)

    @pytest.mark.slow
    def test_every_photo_has_its_chance_of_every_part(self) -> None:
        homes = [assign_splits([YES, NO] * 25, alone(50), seed) for seed in range(100)]
        assert all({parts[photo] for parts in homes} == set(SPLITS) for photo in range(50))

    def test_group_numbers_may_have_gaps(self) -> None:
        labels = [YES, NO] * 50
        assert assign_splits(labels, alone(100) * 7 + 3, 0) == assign_splits(labels, alone(100), 0)


class TestEveryPartHasBothLabels:
    @pytest.mark.parametrize(
        "sizes",
        [
            [(1, 0)] * 3 + [(0, 1)] * 3,
            [(10, 10)] * 3,
            [(10, 10)] * 4,
            [(10, 10)] * 5,
            [(20, 0)] * 4 + [(0, 20)] * 4,
            [(20, 0)] * 3 + [(0, 1)] * 60,
            [(90, 5), (1, 4), (3, 1), (2, 2)],
            [(300, 0), (1, 0), (1, 0), (0, 2), (0, 2), (0, 2)],
            [(10, 1)] * 3 + [(10, 0)] * 20,
        ],
        ids=["3+3", "3", "4", "5", "4+4", "3-large+60-single", "one-large", "one-huge", "three-photos-of-a-label"],
    )
    @pytest.mark.parametrize("seed", range(5))
    def test_where_there_are_barely_enough_groups(self, sizes: list[tuple[int, int]], seed: int) -> None:
        labels, groups = labelled_groups(*sizes)
        assert set(zip(assign_splits(labels, groups, seed), labels, strict=True)) == set(
            itertools.product(SPLITS, (YES, NO))
        )

    @pytest.mark.slow
    @settings(max_examples=100, deadline=None)
    @given(sizes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(any), min_size=3, max_size=6))
    def test_wherever_it_is_possible(self, sizes: list[tuple[int, int]]) -> None:
        """Few groups: every way to spread them is tried here."""
        labels, groups = labelled_groups(*sizes)
        assume(set(labels) == {YES, NO})
        if any(serves(sizes, parts) for parts in itertools.product(SPLITS, repeat=len(sizes))):
            assert set(zip(assign_splits(labels, groups, 0), labels, strict=True)) == set(
                itertools.product(SPLITS, (YES, NO))
            )
        else:
            with pytest.raises(DatasetError, match=r"^no '\w+' photo is left for the \w+ split: .*; add photos from"):
                assign_splits(labels, groups, 0)


def serves(sizes: Sequence[tuple[int, int]], parts: Sequence[str]) -> bool:
    """Whether groups of these sizes, put in these parts, leave no part without a label."""
    filled = {(p, label) for (yes, no), p in zip(sizes, parts, strict=True) for label, n in ((YES, yes), (NO, no)) if n}
    return len(filled) == len(SPLITS) * 2


class TestSeed:
    def test_it_decides(self) -> None:
        labels, groups = labelled_groups(*[(2, 1), (1, 2)] * 20)
        assert assign_splits(labels, groups, 3) == assign_splits(labels, groups, 3)
        assert len({tuple(assign_splits(labels, groups, seed)) for seed in range(10)}) == 10


class TestSmallChanges:
    """With hashes a split moves as little as it can, so that views of training photos stay of use."""

    HASHES = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(1200))

    def moved(self, before: dict[str, str], after: dict[str, str]) -> int:
        return sum(before[photo] != after[photo] for photo in before.keys() & after.keys())

    def drawn(self, labels: Sequence[str], groups: Groups, hashes: Sequence[str], seed: int) -> dict[str, str]:
        return dict(zip(hashes, assign_splits(labels, groups, seed, hashes=hashes), strict=True))

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("size", [1, 3])
    def test_a_hundredth_of_the_labels_moves_few_others(self, size: int, seed: int) -> None:
        groups, hashes = np.arange(1000) // size, self.HASHES[:1000]
        labels = [YES if group % 2 else NO for group in groups]
        changed = [NO if number % 100 == 0 else label for number, label in enumerate(labels)]
        before, after = (self.drawn(each, groups, hashes, seed) for each in (labels, changed))
        assert self.moved(before, after) <= 40  # a split drawn anew would move some 470

    @pytest.mark.parametrize("seed", range(5))
    def test_more_photos_move_few_others(self, seed: int) -> None:
        labels = [YES, NO] * 600
        before = self.drawn(labels[:1000], alone(1000), self.HASHES[:1000], seed)
        after = self.drawn(labels, alone(1200), self.HASHES, seed)
        assert self.moved(before, after) <= 40

    @settings(max_examples=30, deadline=None)
    @given(st.permutations(range(60)), st.integers(0, 2**32 - 1))
    def test_the_order_of_photos_does_not_matter(self, order: list[int], seed: int) -> None:
        labels, groups, hashes = [YES, NO] * 30, np.arange(60) // 2, self.HASHES[:60]
        straight = self.drawn(labels, groups, hashes, seed)
        mixed = self.drawn([labels[i] for i in order], groups[order], [hashes[i] for i in order], seed)
        assert straight == mixed


class TestKeeping:
    """Photos keep their splits, and what was trained on never becomes a test photo."""

    @pytest.mark.parametrize(
        ("groups", "kept", "expected"),
        [
            ((0, 1, 2), {}, (TEST, TEST, TEST)),
            ((0, 1, 2), {"a": TRAIN}, (TRAIN, TEST, TEST)),
            ((0, 0, 1), {"a": TRAIN}, (TRAIN, TRAIN, TEST)),
            ((0, 0, 1), {"a": TEST, "b": TRAIN, "c": VALIDATION}, (TRAIN, TRAIN, VALIDATION)),
            ((0, 0, 0), {"a": TEST, "b": VALIDATION}, (VALIDATION, VALIDATION, VALIDATION)),
            ((0, 1, 2), {"z": TRAIN}, (TEST, TEST, TEST)),
        ],
    )
    def test_groups_follow_their_photos(
        self, groups: tuple[int, ...], kept: dict[str, str], expected: tuple[str, ...]
    ) -> None:
        assert keep_splits([TEST] * 3, np.array(groups), ["a", "b", "c"], kept) == list(expected)


class TestFixedParts:
    def test_they_are_honoured(self) -> None:
        labels = [YES, NO] * 30
        fixed = [TEST] * 20 + [TRAIN] * 30 + [VALIDATION] * 10
        assert assign_splits(labels, alone(60), 0, fixed) == fixed

    def test_they_are_honoured_even_where_they_part_a_group(self) -> None:
        labels, groups = labelled_groups(*[(2, 2)] * 9)
        fixed = [TRAIN, VALIDATION, TEST] * 12
        assert assign_splits(labels, groups, 0, fixed) == fixed

    def test_a_part_that_is_missing_is_drawn_from_train(self) -> None:
        """Of the 85 photos that train and validation share, validation gets 15."""
        labels, groups = labelled_groups(*[(1, 1)] * 100)
        fixed = [TEST] * 30 + [TRAIN] * 170
        parts = assign_splits(labels, groups, 0, fixed)
        assert parts[:30] == [TEST] * 30
        assert Counter(parts[30:]) == {TRAIN: 140, VALIDATION: 30}
        assert not leaking_photos(groups, parts).any()

    def test_the_draw_does_not_depend_on_what_is_fixed_elsewhere(self) -> None:
        """More test photos leave the split of the others as it was."""
        few = assign_splits([YES, NO] * 50, alone(100), 0, [TRAIN] * 90 + [TEST] * 10)
        many = assign_splits([YES, NO] * 80, alone(160), 0, [TRAIN] * 90 + [TEST] * 70)
        assert few[:90] == many[:90]

    @pytest.mark.parametrize(
        ("fixed", "lacking"),
        [
            ([VALIDATION] * 10 + [TEST] * 10, "'crossing' photo is left for the train split"),
            ([TRAIN, TEST] * 10, "'empty' photo is left for the train split"),
            ([TRAIN] * 18 + [VALIDATION, TEST], "'empty' photo is left for the validation split"),
        ],
        ids=["no-train", "one-label-a-part", "one-photo-a-part"],
    )
    def test_a_part_without_a_label_is_refused(self, fixed: list[str], lacking: str) -> None:
        with pytest.raises(DatasetError, match=lacking):
            assign_splits([YES, NO] * 10, alone(20), 0, fixed)


class TestLeakingPhotos:
    def test_photos_beside_train_with_a_companion_in_train(self) -> None:
        groups = np.array([0, 0, 1, 1, 2, 3, 3])
        parts = [TRAIN, TEST, VALIDATION, TEST, TRAIN, TRAIN, VALIDATION]
        assert leaking_photos(groups, parts).tolist() == [False, True, False, False, False, False, True]
