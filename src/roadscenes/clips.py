"""Drawn clips: a fixed view of a street in which people walk, with the true times at which they cross.

A clip is the scene of the same seed and number. People come one after the other, at random: some cross the carriageway,
others only walk along the pavement.

Example:
    >>> clip = draw_clip(seed=0, number=0, seconds=20.0)
    >>> [(round(event.start, 1), round(event.end, 1)) for event in clip.events]  # doctest: +SKIP
    [(6.2, 11.8)]
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from roadscenes.chance import Chance
from roadscenes.composition import View, Walker, compose_frame

_CLIP = 2
_SPEED = 1.0, 1.7
_PAUSE_S = 4.0, 16.0
_STEPS_A_METRE = 1.3
_STRIDE = 0.5
_CROSSES = 0.65
_IN_VIEW = 0.03, 0.97


@dataclass(frozen=True)
class Event:
    """Time with somebody on the carriageway and in view, in seconds from the start of the clip."""

    start: float
    end: float


@dataclass(frozen=True)
class Clip:
    """Drawn clip.

    Attributes:
        seed: random seed of the set.
        number: number of the clip in the set.
        seconds: length of the clip.
        walks: walks of all people, in the order of their starts.
        events: times with somebody on the carriageway and in view, in order, apart from each other.
    """

    seed: int
    number: int
    seconds: float
    walks: tuple["Walk", ...]
    events: tuple[Event, ...]

    def frame(self, time: float) -> Image.Image:
        """Draw the picture at a time in seconds."""
        walkers = [walk.walker(time) for walk in self.walks if walk.start <= time < walk.end]
        return compose_frame(self.seed, self.number, 1 + round(time * 1000), walkers).image

    def frames(self, rate: float) -> Iterator[tuple[float, Image.Image]]:
        """Draw the times and pictures of a clip at a rate of frames a second."""
        for k in range(int(self.seconds * rate)):
            yield k / rate, self.frame(k / rate)


@dataclass(frozen=True)
class Walk:
    """Straight walk of a person at a constant speed.

    Attributes:
        start: time of the first step in seconds.
        seconds: duration.
        begin: place (u, v) of the first step, in metres.
        finish: place (u, v) of the last step, in metres.
        looks: seed of the person's looks.
        view: side that the camera sees, as `roadscenes.composition.Walker` has it.
    """

    start: float
    seconds: float
    begin: tuple[float, float]
    finish: tuple[float, float]
    looks: int
    view: str

    @property
    def end(self) -> float:
        """Time of the last step in seconds."""
        return self.start + self.seconds

    def place(self, time: float) -> tuple[float, float]:
        """Return the place (u, v) at a time in seconds."""
        share = (time - self.start) / self.seconds
        return tuple(a + (b - a) * share for a, b in zip(self.begin, self.finish, strict=True))  # type: ignore[return-value]

    def walker(self, time: float) -> Walker:
        """Return the person at a time in seconds."""
        metres = math.dist(self.begin, self.finish) * (time - self.start) / self.seconds
        stride = _STRIDE * abs(math.sin(math.pi * _STEPS_A_METRE * metres))
        return Walker(*self.place(time), self.looks, self.view, stride)


def draw_clip(seed: int, number: int, seconds: float) -> Clip:
    """Draw who walks when and where. Equal arguments give equal clips.

    Args:
        seed: random seed of the set, 0 or above.
        number: number of the clip in the set, 0 or above.
        seconds: length of the clip.
    """
    view, chance = View(seed, number), Chance(seed, number, _CLIP)
    walks, time = list[Walk](), chance.between(0, 8)
    while time < seconds:
        walk = _draw_walk(view, chance, time, len(walks) + 100)
        walks.append(walk)
        time = walk.end + chance.between(*_PAUSE_S) if chance.happens(0.8) else walk.start + chance.between(0.5, 3)
    return Clip(seed, number, seconds, tuple(walks), tuple(_events(view, walks, seconds)))


def _draw_walk(view: View, chance: Chance, start: float, looks: int) -> Walk:
    street = view.street
    v, side, pace = chance.pick(view.crossing_at), chance.pick((-1, 1)), chance.between(*_SPEED)
    if chance.happens(_CROSSES):
        u = street.half + 0.6 * street.pavement
        begin, finish = (-side * u, v), (side * u, v)
    else:
        u = street.half + chance.between(0.5, 0.9) * street.pavement
        begin, finish = (side * u, max(v - 5, 2.5)), (side * u, v + 8)
    return Walk(start, math.dist(begin, finish) / pace, begin, finish, looks, _visible_side(view, begin, finish))


def _visible_side(view: View, begin: tuple[float, float], finish: tuple[float, float]) -> str:
    x0, x1 = view.x(*begin), view.x(*finish)
    if x0 is None or x1 is None or abs(x1 - x0) < 0.15:
        return "back" if finish[1] > begin[1] else "front"
    return "right" if x1 > x0 else "left"


def _events(view: View, walks: list[Walk], seconds: float) -> Iterator[Event]:
    """Find the times with somebody on the carriageway and in view, to a tenth of a second."""
    begun = None
    for tick in range(int(seconds * 10) + 1):
        time = tick / 10
        on = time < seconds and any(_is_on(view, walk.place(time)) for walk in walks if walk.start <= time < walk.end)
        if on and begun is None:
            begun = time
        elif not on and begun is not None:
            yield Event(begun, time)
            begun = None


def _is_on(view: View, place: tuple[float, float]) -> bool:
    x = view.x(*place)
    return x is not None and _IN_VIEW[0] < x < _IN_VIEW[1] and view.street.on_carriageway(*place, 0)
