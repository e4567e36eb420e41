"""Frames become events: a hidden Markov model of two states, "event" and "no event".

Neighbouring frames are not independent: they show the same people. So the evidence of a frame counts only for the share
of `independent` seconds that passed since the frame before. A frame rate therefore changes nothing but the resolution.

The state of a frame is decided with the frames of the next `lag` seconds. The lag of a file is so long that the result
is that of the forward-backward algorithm (Rabiner 1989, "A tutorial on hidden Markov models", section III.B); a live
watch has a short lag. Memory grows with the lag alone.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.settings import EventSettings

_LONG_LAG = 5.0
"""Lag of a file, in usual durations of an event and a gap: what lies farther ahead no longer matters."""

_ROUNDING = 1e-6

MOST_AHEAD = 2_000
"""Largest number of frames of a lag."""


@dataclass(frozen=True)
class State:
    """Decided state of a frame.

    Attributes:
        answer: what the model says of the frame.
        belief: probability of an event at the frame's time, given the frames before and those of the lag.
    """

    answer: Answer
    belief: float

    @property
    def on(self) -> bool:
        """Whether an event is more probable than none."""
        return self.belief >= 0.5


@dataclass
class Event:
    """Time with the positive class in view.

    Attributes:
        number: 1 for the first event.
        start: time of the first frame, in seconds.
        end: time of the first frame after the event, or of the last frame in it until now, in seconds.
        best: time of the frame with the highest probability, in seconds.
        highest: highest probability of a frame.
        frames: number of frames.
        total: sum of the frames' probabilities.
        unsure: number of frames that the model is unsure of, or that are unlike its training photos.
        ended: whether the event has ended.
    """

    number: int
    start: float
    end: float
    best: float = 0.0
    highest: float = -1.0
    frames: int = 0
    total: float = 0.0
    unsure: int = 0
    ended: bool = False

    @property
    def mean(self) -> float:
        """Mean probability of the frames."""
        return self.total / self.frames

    @property
    def unsure_share(self) -> float:
        """Share of frames that the model is unsure of, or that are unlike its training photos."""
        return self.unsure / self.frames

    def add(self, answer: Answer) -> None:
        """Count one more frame."""
        self.end = answer.time
        self.frames += 1
        self.total += answer.probability
        self.unsure += answer.unsure or answer.unfamiliar
        if answer.probability > self.highest:
            self.highest, self.best = answer.probability, answer.time


class Smoother:
    """Beliefs about the state of each frame, a lag later.

    Args:
        settings: durations of the model.
        lag: seconds that a state is decided late; None for the lag of a file.
    """

    def __init__(self, settings: EventSettings, lag: float | None = None) -> None:
        self._settings = settings
        longest = max(settings.usual_event, settings.usual_gap, settings.independent)
        self._lag = _LONG_LAG * longest if lag is None else lag
        # A pass back over the waiting frames decides as many as it passes by. A live watch decides each at once.
        self._patience = 2 * self._lag if lag is None else self._lag
        self._begin, self._stop = 1 / settings.usual_gap, 1 / settings.usual_event
        self._waiting: deque[_Waiting] = deque()
        self._belief = self._begin / (self._begin + self._stop)

    def add(self, answer: Answer, evidence: float) -> Iterator[State]:
        """Take the next frame, and give the states that it decides.

        Args:
            answer: what the model says of the frame. Times must not decrease.
            evidence: log-likelihood ratio of the frame, above 0 for the positive class.
        """
        passed = answer.time - self._waiting[-1].answer.time if self._waiting else math.inf
        begins, stops = self._changes(passed)
        odds = math.exp(min(1.0, passed / self._settings.independent) * evidence)
        before = self._belief * (1 - stops) + (1 - self._belief) * begins
        self._belief = before * odds / (before * odds + 1 - before)
        self._waiting.append(_Waiting(answer, self._belief, odds, begins, stops))
        oldest = answer.time - self._waiting[0].answer.time
        if oldest >= self._patience - _ROUNDING or len(self._waiting) > MOST_AHEAD:
            yield from self._decide(answer.time - self._lag + _ROUNDING)

    def finish(self) -> Iterator[State]:
        """Give the states of all frames that wait, and begin anew."""
        yield from self._decide(math.inf)
        self._belief = self._begin / (self._begin + self._stop)

    def _changes(self, passed: float) -> tuple[float, float]:
        """Return the probabilities that an event began, or stopped, in the seconds since the frame before."""
        rate = self._begin + self._stop
        mixed = 1 - math.exp(-rate * passed)
        return self._begin / rate * mixed, self._stop / rate * mixed

    def _decide(self, until: float) -> Iterator[State]:
        """Join the beliefs of the frames up to a time, one at least, with the evidence of all frames after each."""
        waiting = list(self._waiting)
        on, off = 1.0, 1.0
        states: list[State] = []
        for k in range(len(waiting) - 1, -1, -1):
            one = waiting[k]
            if one.answer.time <= until or k == 0:
                states.append(State(one.answer, one.belief * on / (one.belief * on + (1 - one.belief) * off)))
            on, off = (
                on * one.odds * (1 - one.stops) + off * one.stops,
                on * one.odds * one.begins + off * (1 - one.begins),
            )
            on, off = on / (on + off), off / (on + off)
        for _ in states:
            self._waiting.popleft()
        yield from reversed(states)


@dataclass(frozen=True)
class _Waiting:
    """Frame that waits for later evidence: filtered belief, odds of its evidence, changes since the frame before."""

    answer: Answer
    belief: float
    odds: float
    begins: float
    stops: float


class EventLog:
    """States become events. The event that has not ended is `open`.

    Args:
        every: seconds between two frames.
        longest_gap: seconds without a frame after which an event has ended.
    """

    def __init__(self, every: float, longest_gap: float) -> None:
        self.open: Event | None = None
        self.count = 0
        self._every, self._longest_gap = every, longest_gap

    def add(self, state: State) -> Iterator[Event]:
        """Take the next state, and give the events that it ends, and that it begins or goes on with."""
        answer = state.answer
        if self.open is not None and answer.time - self.open.end > self._longest_gap:
            yield from self.finish()
        if not state.on:
            yield from self._end(answer.time)
            return
        if self.open is None:
            self.count += 1
            self.open = Event(self.count, answer.time, answer.time)
        self.open.add(answer)
        yield self.open

    def finish(self) -> Iterator[Event]:
        """End the event that is open, a step after its last frame, and give it."""
        if self.open is not None:
            yield from self._end(self.open.end + self._every)

    def _end(self, time: float) -> Iterator[Event]:
        ended, self.open = self.open, None
        if ended is not None:
            ended.end, ended.ended = time, True
            yield ended
