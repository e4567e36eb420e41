"""Summary of a watch of any length, in flat memory: bins of a timeline, and counts an hour."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from roadclear.deploy.watch.events import Event, State

MOST_BINS = 720
MOST_THUMBNAILS = 200
_HOUR = 3600.0
_ROUNDING = 1e-6
"""Share of a bin by which a time may lie before its bin: 0.6 / 0.2 is 2.9999999999999996."""


@dataclass
class Bin:
    """Frames of a stretch of time: their number, highest and summed probability, and how many lie in an event."""

    frames: int = 0
    highest: float = 0.0
    total: float = 0.0
    on: int = 0

    def join(self, other: "Bin") -> None:
        """Add the frames of another bin."""
        self.frames += other.frames
        self.highest = max(self.highest, other.highest)
        self.total += other.total
        self.on += other.on


@dataclass
class Timeline:
    """Bins of equal width from second 0. When more than 720 are needed, two become one.

    Attributes:
        width: seconds of a bin.
        bins: bins by their number; those without a frame are missing.
    """

    width: float
    bins: dict[int, Bin] = field(default_factory=dict)

    def add(self, state: State) -> None:
        """Count a frame."""
        while state.answer.time >= self.width * MOST_BINS:
            self._halve()
        p = state.answer.probability
        number = int(state.answer.time / self.width + _ROUNDING)
        self.bins.setdefault(number, Bin()).join(Bin(1, p, p, int(state.on)))

    def _halve(self) -> None:
        self.width *= 2
        halved: dict[int, Bin] = {}
        for k, one in self.bins.items():
            halved.setdefault(k // 2, Bin()).join(one)
        self.bins = halved


@dataclass
class Hour:
    """One hour: events that began in it, seconds inside events, and seconds that were watched."""

    events: int = 0
    event_seconds: float = 0.0
    watched: float = 0.0


@dataclass(frozen=True, eq=False)
class Shown:
    """Event for the page, with the thumbnail of its most probable frame."""

    event: Event
    thumbnail: bytes


class Summary:
    """What the page shows.

    Args:
        every: seconds between two frames.
        began: clock time of second 0, or None.
    """

    def __init__(self, every: float, began: datetime | None) -> None:
        self.timeline = Timeline(every)
        self.hours: dict[int, Hour] = {}
        self.shown: deque[Shown] = deque(maxlen=MOST_THUMBNAILS)
        self.events = self.frames = self.unsure = 0
        self.event_seconds = self.end = 0.0
        self.began = began
        self.every = every
        self._best: bytes = b""
        self._best_probability = -1.0

    def add(self, state: State, thumbnail: bytes) -> None:
        """Count a frame."""
        answer = state.answer
        self.timeline.add(state)
        self.frames += 1
        self.unsure += answer.unsure or answer.unfamiliar
        self.end = answer.time + self.every
        hour = self._hour(answer.time)
        hour.watched += self.every
        hour.event_seconds += self.every * state.on
        if state.on and answer.probability > self._best_probability:
            self._best, self._best_probability = thumbnail, answer.probability

    def add_event(self, event: Event) -> None:
        """Count an event that has ended."""
        self.events += 1
        self.event_seconds += event.end - event.start
        self._hour(event.start).events += 1
        self.shown.append(Shown(event, self._best))
        self._best, self._best_probability = b"", -1.0

    def profile(self) -> dict[int, Hour]:
        """Add up the hours of the same time of day. Without a clock, second 0 counts as midnight."""
        first = 0 if self.began is None else self.began.hour
        added: dict[int, Hour] = {}
        for number, hour in self.hours.items():
            one = added.setdefault((first + number) % 24, Hour())
            one.events += hour.events
            one.event_seconds += hour.event_seconds
            one.watched += hour.watched
        return dict(sorted(added.items()))

    def hour_name(self, number: int) -> str:
        """Name an hour by the clock, or by its number without one."""
        if self.began is None:
            return f"hour {number + 1}"
        start = self.began.replace(minute=0, second=0, microsecond=0) + timedelta(hours=number)
        return start.strftime("%Y-%m-%d %H:00")

    def _hour(self, time: float) -> Hour:
        began = self.began
        into = 0.0 if began is None else began.minute * 60 + began.second
        return self.hours.setdefault(int((into + time) // _HOUR), Hour())
