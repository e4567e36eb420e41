"""Drawn clips: the same from the same seed, a view that stays, and people where the events say."""

import numpy as np
import pytest

from roadscenes.clips import draw_clip
from roadscenes.composition import View

SECONDS = 40.0


def grey(clip_seconds: float, number: int = 1) -> np.ndarray:
    return np.asarray(draw_clip(5, number, SECONDS).frame(clip_seconds).convert("L"), float)


def test_equal_arguments_give_equal_clips() -> None:
    one, other = draw_clip(5, 2, SECONDS), draw_clip(5, 2, SECONDS)
    assert one == other
    assert one.frame(7.0).tobytes() == other.frame(7.0).tobytes()
    assert draw_clip(5, 3, SECONDS) != one


@pytest.mark.parametrize("number", range(6))
def test_events_are_in_order_apart_and_inside_the_clip(number: int) -> None:
    clip = draw_clip(7, number, 120.0)
    edges = [edge for event in clip.events for edge in (event.start, event.end)]
    assert edges == sorted(set(edges))
    assert clip.events, "two minutes with somebody every half minute"
    assert edges[0] >= 0
    assert edges[-1] <= 120.0


@pytest.mark.parametrize("number", range(3))
def test_somebody_walks_on_the_carriageway_in_an_event_and_nobody_outside(number: int) -> None:
    clip, view = draw_clip(7, number, 120.0), View(7, number)
    for tick in range(1200):
        time = tick / 10
        places = [walk.place(time) for walk in clip.walks if walk.start <= time < walk.end]
        on = [place for place in places if view.street.on_carriageway(*place, 0)]
        if any(event.start <= time < event.end for event in clip.events):
            assert on
        assert all(len(walk.begin) == 2 for walk in clip.walks)


def test_only_walkers_and_grain_change_from_frame_to_frame() -> None:
    clip = draw_clip(5, 1, SECONDS)
    walking = next(walk for walk in clip.walks if walk.seconds > 2)
    quiet = [t for t in np.arange(0, SECONDS, 0.5) if not any(w.start <= t < w.end for w in clip.walks)][:2]
    still = np.abs(grey(quiet[0]) - grey(quiet[1])).mean()
    moving = np.abs(grey(quiet[0]) - grey((walking.start + walking.end) / 2))
    assert still < 12, "rain and grain alone"
    assert (moving > 40).sum() > (np.abs(grey(quiet[0]) - grey(quiet[1])) > 40).sum()


def test_frames_come_at_their_rate() -> None:
    assert [time for time, _ in draw_clip(5, 1, 1.0).frames(4.0)] == [0.0, 0.25, 0.5, 0.75]


def test_the_zone_holds_the_places_where_people_cross() -> None:
    view = View(5, 1)
    for v in view.crossing_at:
        (left, top), (right, _), (_, bottom), _ = view.zone(v)
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        x = view.x(0.0, v)
        assert x is not None
        assert left <= x <= right
