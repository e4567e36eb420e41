"""Copies of pictures form the same groups in whatever order they come."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.clean.copies import copy_groups
from roadclear.clean.inspection import Look, Picture
from roadclear.dataset import LabelledPhoto


def a_picture(number: int, content: int, width: int, lossless: bool, label: str, link: bool) -> Picture:
    file = f"{label}/{number}"
    look = Look("PNG" if lossless else "JPEG", width, 100, 50.0, bytes([content] * 32), np.zeros(2, np.uint64))
    return Picture(LabelledPhoto(Path(file), file, label), f"{content:064}", 1000, link, look)


PICTURES = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from([100, 200]), st.booleans(), st.sampled_from(["a", "b"]), st.booleans()
    ),
    max_size=12,
).map(lambda rows: [a_picture(number, *row) for number, row in enumerate(rows)])


@settings(deadline=None)
@given(PICTURES, st.randoms(use_true_random=False))
def test_groups_hold_all_equal_pixels_and_their_best_does_not_depend_on_the_order(pictures, random) -> None:  # type: ignore[no-untyped-def]
    groups = copy_groups(pictures, with_look_alikes=False)
    members = [picture.photo.file for group in groups for picture in group]
    assert len(members) == len(set(members))
    assert all(len(group) > 1 and len({picture.look.pixels for picture in group}) == 1 for group in groups)
    alone = [picture.look.pixels for picture in pictures if picture.photo.file not in members]
    assert len(alone) == len(set(alone))

    shuffled = random.sample(pictures, len(pictures))
    names = {tuple(picture.photo.file for picture in group) for group in groups}
    assert {
        tuple(picture.photo.file for picture in group) for group in copy_groups(shuffled, with_look_alikes=False)
    } == names


@settings(deadline=None)
@given(PICTURES)
def test_the_best_is_no_link_then_the_largest_then_lossless(pictures) -> None:  # type: ignore[no-untyped-def]
    for group in copy_groups(pictures, with_look_alikes=False):
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
    [(0, True, True), (3, True, True), (4, True, False), (6, True, False), (7, False, False)],
)
def test_under_both_labels_it_takes_more_to_look_alike(bits: int, under_one_label: bool, under_both: bool) -> None:
    """As frames of one camera do, with and without people."""
    hashes = np.array([0x0F0F0F0F0F0F0F0F, 0x3333333333333333], np.uint64)
    changed = hashes ^ np.uint64(2**bits - 1)
    for labels, linked in ((("a", "a"), under_one_label), (("a", "b"), under_both)):
        pair = [
            replace(picture, look=replace(picture.look, fingerprint=fingerprint))
            for picture, fingerprint in zip(
                (a_picture(n, n, 100, False, label, False) for n, label in enumerate(labels)),
                (hashes, changed),
                strict=True,
            )
        ]
        assert len(copy_groups(pair, with_look_alikes=True)) == linked
        assert copy_groups(pair, with_look_alikes=False) == []


def test_no_pictures_no_copies() -> None:
    assert copy_groups([], with_look_alikes=True) == []
