"""Copies of pictures form the same groups in whatever order they come, and what stays of them has no copies."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.curation.copies import Group, copy_groups, labels_differ
from roadclear.curation.inspection import InspectedPhoto, PhotoStats
from roadclear.data.dataset import LabelledPhoto

UPRIGHT, MIRRORED = 0x0F0F0F0F0F0F0F0F, 0x3333333333333333


def a_picture(
    number: int,
    content: int,
    label: str = "a",
    changed_bits: int = 0,
    scene: str | None = None,
    width: int = 100,
    lossless: bool = False,
    link: bool = False,
) -> InspectedPhoto:
    file = f"{label}/{number}"
    hashes = np.array([UPRIGHT ^ changed_bits, MIRRORED ^ changed_bits], np.uint64)
    look = PhotoStats("PNG" if lossless else "JPEG", width, 100, 50.0, bytes([content] * 32), hashes)
    return InspectedPhoto(LabelledPhoto(Path(file), file, label, scene=scene), f"{content:064}", 1000, link, look)


def contents() -> st.SearchStrategy[tuple[int, int]]:
    """Pixels and the bits of their hash: the same pixels have the same hash."""
    return st.integers(0, 9).map(lambda content: (content, int("0102040810"[content]) * 0x111 + content // 3))


PICTURES = st.lists(
    st.builds(
        lambda content, **facts: facts | {"content": content[0], "changed_bits": content[1]},
        contents(),
        label=st.sampled_from(["a", "b"]),
        scene=st.sampled_from([None, "s", "t"]),
        width=st.sampled_from([100, 200]),
        lossless=st.booleans(),
        link=st.booleans(),
    ),
    max_size=12,
).map(lambda rows: [a_picture(number, **row) for number, row in enumerate(rows)])


def signs(pictures: list[InspectedPhoto], with_look_alikes: bool = True) -> np.ndarray | None:
    """Embeddings of pictures of which none is like another: their hashes alone tell."""
    return np.zeros((len(pictures), 4), np.float32) if with_look_alikes else None


def names(groups: list[Group]) -> set[tuple[str, ...]]:
    return {tuple(picture.photo.file for picture in group) for group in groups}


@pytest.mark.slow
@settings(deadline=None)
@given(PICTURES, st.booleans(), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_what_stays_has_no_copies(
    pictures: list[InspectedPhoto], with_look_alikes: bool, draw: random.Random
) -> None:
    groups = copy_groups(pictures, signs(pictures, with_look_alikes))
    members = [picture.photo.file for group in groups for picture in group]
    assert len(members) == len(set(members))
    assert all(len(group) > 1 for group in groups)
    assert names(copy_groups(draw.sample(pictures, len(pictures)), signs(pictures, with_look_alikes))) == names(groups)

    set_aside = {picture.photo.file for group in groups for picture in (group if labels_differ(group) else group[1:])}
    rest = [picture for picture in pictures if picture.photo.file not in set_aside]
    assert copy_groups(rest, signs(rest, with_look_alikes)) == []
    assert len({picture.look.pixels for picture in rest}) == len(rest)


@settings(deadline=None)
@given(PICTURES)
def test_groups_without_look_alikes_are_those_of_equal_pixels(pictures: list[InspectedPhoto]) -> None:
    groups = copy_groups(pictures, None)
    assert all(len({picture.look.pixels for picture in group}) == 1 for group in groups)


@settings(deadline=None)
@given(PICTURES)
def test_the_best_is_no_link_then_the_largest_then_lossless(pictures: list[InspectedPhoto]) -> None:
    for group in copy_groups(pictures, None):
        best, *others = group
        for other in others:
            if best.is_link:
                assert other.is_link
            elif not other.is_link:
                assert best.look.width >= other.look.width
                if best.look.width == other.look.width and best.look.format != "PNG":
                    assert other.look.format != "PNG"


@pytest.mark.parametrize(
    ("bits", "under_one_label", "under_both"),
    [(0, True, True), (2, True, True), (3, True, False), (6, True, False), (7, False, False)],
)
def test_under_both_labels_it_takes_more_to_look_alike(bits: int, under_one_label: bool, under_both: bool) -> None:
    """As frames of one camera do, with and without people."""
    for labels, linked in ((("a", "a"), under_one_label), (("a", "b"), under_both)):
        pair = [a_picture(n, n, label, n * (2**bits - 1)) for n, label in enumerate(labels)]
        assert len(copy_groups(pair, signs(pair))) == linked
        assert copy_groups(pair, None) == []


def test_a_film_is_not_one_picture() -> None:
    """Every frame differs in 3 bits from the next, so that the first three and the next three are copies."""
    frames = [a_picture(n, n, changed_bits=2 ** (3 * n) - 1) for n in range(9)]
    assert names(copy_groups(frames, signs(frames))) == {
        ("a/0", "a/1", "a/2"), ("a/3", "a/4", "a/5"), ("a/6", "a/7", "a/8")
    }  # fmt: skip


def test_what_looks_like_a_picture_under_both_labels_goes_with_it() -> None:
    pictures = [
        a_picture(0, 0, "a"),
        a_picture(1, 1, "b", changed_bits=0b11),
        a_picture(2, 2, "a", changed_bits=0b111111 << 8),  # 6 bits from the first
        a_picture(3, 3, "a", changed_bits=0b1111111 << 20),  # 7
    ]
    assert names(copy_groups(pictures, signs(pictures))) == {("a/0", "a/2", "b/1")}


def test_no_pictures_no_copies() -> None:
    assert copy_groups([], signs([])) == []


def test_embeddings_find_under_one_label_what_hashes_miss() -> None:
    crop = a_picture(0, 1, changed_bits=0xFFFF), a_picture(1, 2, width=200)
    one_direction = np.ones((2, 4), np.float32)
    assert names(copy_groups(list(crop), one_direction)) == {("a/1", "a/0")}
    under_both = [crop[0], a_picture(1, 2, label="b", width=200)]
    assert copy_groups(under_both, one_direction) == []
