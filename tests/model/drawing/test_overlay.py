"""The overlay: its picture is the map, and its colours have their meanings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from predictions import peak

from roadclear.model.drawing.overlay import colour_bar, enlarge, lay_over, scale_ticks

MAPS = arrays(np.float32, (7, 7), elements=st.floats(-2, 2, width=32))


@given(MAPS)
def test_the_picture_of_a_map_is_the_map(heatmap: NDArray[np.float32]) -> None:
    enlarged = enlarge(heatmap, (640, 417))
    assert enlarged.shape == (417, 640)
    assert enlarged.mean() == pytest.approx(heatmap.mean(), abs=0.01)
    assert heatmap.min() - 1e-5 <= enlarged.min() and enlarged.max() <= heatmap.max() + 1e-5


def test_whole_pixels_a_place_keep_the_mean_exactly() -> None:
    heatmap = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    assert enlarge(heatmap, (630, 420)).mean() == pytest.approx(heatmap.mean(), abs=1e-6)


@given(MAPS)
def test_ticks_are_symmetric_round_and_cover_the_map(heatmap: NDArray[np.float32]) -> None:
    ticks = scale_ticks(heatmap)
    assert ticks[-1] >= np.abs(heatmap).max() - 1e-9 and ticks[-1] >= 0.1
    assert ticks == [-tick for tick in reversed(ticks)]
    assert 3 <= len(ticks) <= 11
    assert all(len(f"{tick:+g}") <= 5 for tick in ticks)
    assert np.diff(ticks) == pytest.approx(ticks[1] - ticks[0])


@pytest.mark.parametrize("value", [2.0, 0.3, -0.3, -2.0])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_peak_has_the_colour_of_its_sign_and_the_rest_none(value: float, grey: int) -> None:
    photo = Image.new("RGB", (700, 700), (grey, grey, grey))
    laid = np.asarray(lay_over(photo, peak(value), abs(value))).astype(int)
    red, _, blue = laid[150, 550]
    assert (red - blue) * np.sign(value) > 50
    assert np.ptp(laid[500:, :300], axis=-1).max() == 0


def test_the_colours_of_a_photo_do_not_look_like_the_maps() -> None:
    photo = Image.new("RGB", (70, 70), "blue")
    laid = np.asarray(lay_over(photo, np.zeros((7, 7), np.float32), 1.0))
    assert np.ptp(laid, axis=-1).max() == 0


def test_the_bar_goes_from_one_colour_through_none_to_the_other() -> None:
    bar = np.asarray(colour_bar(201, 3)).astype(int)
    assert bar[0, 0, 2] > bar[0, 0, 0] and bar[0, -1, 0] > bar[0, -1, 2]
    assert np.ptp(bar[0, 100]) == 0
