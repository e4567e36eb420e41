"""Other light, weather and cameras: what is in a photo stays, and how it looks is drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenes import draw_scene

from roadclear.images.augment import view
from roadclear.images.light import relit
from roadclear.images.settings import AugmentSettings

Photo = NDArray[np.uint8]

DRAWS = 400


def drawn(photo: Photo, draws: int = DRAWS) -> list[Photo]:
    return [relit(photo, np.random.default_rng(seed)) for seed in range(draws)]


def flat(*colour: int, size: int = 48) -> Photo:
    return np.broadcast_to(np.array(colour, np.uint8), (size, size, 3)).copy()


def colours(photos: list[Photo]) -> NDArray[np.float64]:
    """Mean red, green and blue of every photo."""
    return np.array([photo.mean(axis=(0, 1)) for photo in photos])


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 70), seed=st.integers(0, 10_000))
def test_the_form_stays_and_the_photo_is_left_alone(size: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    before = photo.copy()
    seen = relit(photo, np.random.default_rng(seed))
    assert (seen.shape, seen.dtype) == (photo.shape, np.uint8)
    assert np.array_equal(photo, before)


def test_the_generator_decides() -> None:
    photo = np.asarray(draw_scene(0, figure=True).resize((64, 64)))
    assert len({seen.tobytes() for seen in drawn(photo, 50)}) == 50
    assert np.array_equal(relit(photo, np.random.default_rng(7)), relit(photo, np.random.default_rng(7)))


def test_what_is_in_a_photo_stays() -> None:
    """A light field on a dark one is lighter in every light, and stays where it is."""
    photo = flat(60, 60, 60)
    photo[:, 24:] = 180
    for seen in drawn(photo):
        left, right = seen[:, :20].mean(), seen[:, 28:].mean()
        assert right > left + 10


def test_three_of_ten_are_grey() -> None:
    spread = np.ptp(colours(drawn(flat(180, 120, 70))), axis=1)
    assert np.mean(spread < 3) == pytest.approx(0.3, abs=3 * math.sqrt(0.21 / DRAWS))


def test_the_others_have_a_tint_and_another_saturation() -> None:
    grey = colours(drawn(flat(128, 128, 128)))
    assert np.ptp(grey, axis=1).max() > 20  # a grey road under a lamp
    vivid = np.ptp(colours(drawn(flat(150, 120, 90))), axis=1)
    assert vivid.min() < 5
    assert vivid.max() > 70


def test_some_are_dark_some_light() -> None:
    brightness = colours(drawn(flat(128, 128, 128))).mean(axis=1)
    assert np.mean(brightness < 64) > 0.1
    assert np.mean(brightness > 160) > 0.05


def test_haze_is_denser_at_the_top() -> None:
    photos = drawn(flat(0, 0, 0))
    denser = np.array([photo[:24].mean() - photo[24:].mean() for photo in photos])
    assert denser.min() > -5
    assert 0.1 < np.mean(denser > 5) < 0.25  # one of five is hazy, some of them evenly


def test_some_are_blurred_some_noisy() -> None:
    """Of a pattern of single pixels less is left, or more is there."""
    pattern = np.indices((48, 48)).sum(axis=0) % 2 * 60 + 98
    photo = np.repeat(pattern[:, :, None], 3, axis=2).astype(np.uint8)
    contrasts = np.array([seen.std() for seen in drawn(photo)])
    assert np.mean(contrasts < 5) > 0.05
    noise = np.array([seen.std() for seen in drawn(flat(128, 128, 128))])
    assert np.mean(noise > 5) > 0.1


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_a_share_of_the_views_is_relit(probability: float) -> None:
    photo = np.asarray(draw_scene(0, figure=True).resize((32, 32)))
    geometry = {"rotation": 0, "zoom": 0, "flip": 0}
    policy = AugmentSettings(**geometry, light=probability)
    relit_views = [not np.array_equal(view(photo, "ab", k, policy), photo) for k in range(1, DRAWS + 1)]
    assert np.mean(relit_views) == pytest.approx(probability, abs=3 * math.sqrt(0.25 * min(probability, 0.3) / DRAWS))
