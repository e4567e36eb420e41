"""Photos that belong together are in one group, for whatever reason, directly or through others."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.groups import group_ids, group_photos, one_sided_sources, sample_groups
from roadclear.data.settings import GroupSettings


def photo(file: str, **facts: str) -> LabelledPhoto:
    return LabelledPhoto(Path("/photos", file), file, file.split("/")[0], **facts)


def grouped(photos: Sequence[LabelledPhoto], settings: GroupSettings | None = None, **same: Sequence[object]) -> Any:
    """Groups of photos with hashes and looks of their own, unless they are given."""
    n = len(photos)
    hashes = [str(sha256) for sha256 in same.get("hashes", range(n))]
    looks = np.array(same.get("looks", range(n)), dtype=np.intp)
    return group_photos(photos, hashes, looks, settings or GroupSettings()).tolist()


class TestGroupPhotos:
    PHOTOS = (
        photo("a/cam1-001.jpg", scene="street", page="p", author="Ann"),
        photo("a/cam1-002.jpg", page="p"),
        photo("b/cam2-001.jpg", scene="street"),
        photo("b/other.jpg", author="Ann"),
    )

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, [0, 1, 0, 2]),
            ({"group_by_page": True}, [0, 0, 0, 1]),
            ({"group_by_author": True}, [0, 1, 0, 0]),
            ({"group_by_page": True, "group_by_author": True}, [0, 0, 0, 0]),
            ({"group_by": "cam[0-9]"}, [0, 0, 0, 1]),
            ({"group_by": "cam[0-9]-(.*)[.]"}, [0, 1, 0, 2]),
            ({"group_by": "(x)?.jpg"}, [0, 0, 0, 0]),
            ({"group_by": "nowhere"}, [0, 1, 0, 2]),
        ],
    )
    def test_what_the_user_adds_to_scenes(self, settings: dict[str, Any], expected: list[int]) -> None:
        assert grouped(self.PHOTOS, GroupSettings(**settings)) == expected

    def test_one_content_and_one_look_are_one_group(self) -> None:
        photos = [photo(f"a/{n}.jpg") for n in range(5)]
        assert grouped(photos, hashes=[0, 1, 0, 3, 4], looks=[0, 1, 2, 1, 4]) == [0, 1, 0, 1, 2]

    def test_a_scene_and_a_page_of_one_name_are_two_things(self) -> None:
        photos = [photo("a/1.jpg", scene="same"), photo("a/2.jpg", page="same"), photo("a/3.jpg", author="same")]
        assert grouped(photos, GroupSettings(group_by_page=True, group_by_author=True)) == [0, 1, 2]


class TestOneSidedSources:
    @pytest.mark.parametrize(
        ("photos", "expected"),
        [
            ([], {}),
            ([("a", "x"), ("b", "x")], {}),
            ([("a", "x"), ("a", "x")], {}),
            ([("a", "x"), ("b", "y")], {"x": "a", "y": "b"}),
            ([("a", "x"), ("b", "x"), ("b", "y")], {"y": "b"}),
            ([("a", None), ("b", "y"), ("b", "z"), ("a", "z")], {"y": "b"}),
        ],
    )
    def test_table(self, photos: list[tuple[str, str | None]], expected: dict[str, str]) -> None:
        labelled = [LabelledPhoto(Path(label), label, label, source=source) for label, source in photos]
        assert one_sided_sources(labelled) == expected


class TestGroupIds:
    @pytest.mark.parametrize(
        ("links", "expected"),
        [
            ([], []),
            ([[], [], []], [0, 1, 2]),
            ([["a"], ["b"], ["a"]], [0, 1, 0]),
            ([["a"], ["a", "b"], ["b"], []], [0, 0, 0, 1]),
            ([["a"], ["b"], ["c"], ["c", "a"]], [0, 1, 0, 0]),
            ([["b", "b"], [("scene", "1")], [("page", "1")], [("scene", "1")]], [0, 1, 2, 1]),
            ([[1], ["1"], [None], [None]], [0, 1, 2, 2]),
        ],
    )
    def test_table(self, links: list[list[object]], expected: list[int]) -> None:
        assert group_ids(links).tolist() == expected  # type: ignore[arg-type]

    @given(links=st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=25))
    def test_they_are_connected_components(self, links: list[list[int]]) -> None:
        assert group_ids(links).tolist() == components(links)

    def test_a_long_chain_is_one_group(self) -> None:
        assert not group_ids([[number, number + 1] for number in range(20_000)]).any()


def components(links: Sequence[Sequence[int]]) -> list[int]:
    """Flood every photo's group, one photo after the other."""
    group: list[int | None] = [None] * len(links)
    numbers = itertools.count()
    for start in range(len(links)):
        if group[start] is not None:
            continue
        number, reached = next(numbers), [start]
        while reached:
            photo = reached.pop()
            group[photo] = number
            reached += [p for p in range(len(links)) if group[p] is None and set(links[p]) & set(links[photo])]
    return [number for number in group if number is not None]


class TestSampleGroups:
    @given(st.lists(st.integers(0, 30), max_size=120), st.integers(1, 150), st.integers(0, 5))
    def test_photos_are_drawn_once_and_as_many_as_asked(self, numbers: list[int], most: int, seed: int) -> None:
        found = sample_groups(np.array(numbers, dtype=np.intp), most, seed)
        assert (np.diff(found) > 0).all()
        assert len(found) <= most
        if len(numbers) <= most:
            assert found.tolist() == list(range(len(numbers)))

    def test_groups_are_drawn_whole(self) -> None:
        groups = np.repeat(np.arange(1_000), 3)
        sizes = np.bincount(groups[sample_groups(groups, 300, 0)])
        assert sorted(set(sizes.tolist())) == [0, 3]

    def test_a_group_of_nearly_everything_leaves_room_for_others(self) -> None:
        groups = np.concatenate([np.zeros(5_000, np.intp), np.arange(1, 5_001)])
        found = sample_groups(groups, 1_000, 0)
        assert len(found) == 1_000
        assert np.sum(groups[found] == 0) <= 100
