"""Answers of frames become states: the levels of the camera, then the hidden Markov model."""

from collections import deque
from collections.abc import Iterator

from roadclear.deploy.watch.events import Smoother, State
from roadclear.deploy.watch.evidence import Answer, log_odds, trusted
from roadclear.deploy.watch.levels import AS_TRAINED, LevelFinder
from roadclear.deploy.watch.settings import EventSettings

_FIRST_LOOK_S, _MOST_FIRST = 600.0, 20_000
"""Seconds and frames of a file that are read before the first state is decided, so that they tell the levels."""

_LOOK_AGAIN_S, _LOOK_AGAIN_SHARE, _LOOK_AGAIN_AT_MOST_S = 5.0, 0.02, 60.0
"""Time between two looks at the levels: 5 seconds at first, then 2% of the time that was watched, up to a minute."""

_GAP_S, _GAP_STEPS = 10.0, 5.0
"""Longest time between two frames of one view, in seconds and steps: after a longer gap, all begins anew."""


def longest_gap(every: float) -> float:
    """Return the longest time between two frames of one view, in seconds, for a step in seconds."""
    return max(_GAP_S, _GAP_STEPS * every)


class Decider:
    """States of frames, in their order.

    Args:
        settings: durations of the model, and whether the levels of the camera are learnt.
        threshold: least probability of a positive prediction.
        live: whether states are needed as frames come. For a file, the first ten minutes are read first.
        every: seconds between two frames.
    """

    def __init__(self, settings: EventSettings, threshold: float, live: bool, every: float) -> None:
        self._threshold, self._longest_gap = threshold, longest_gap(every)
        self._smoother = Smoother(settings, settings.lag if live else None)
        self._finder = LevelFinder() if settings.levels == "camera" else None
        self._levels = AS_TRAINED
        self._first: deque[Answer] = deque()
        self._reading_first = self._finder is not None and not live
        self._last: float | None = None
        self._look_at = 0.0
        self._every = every

    def add(self, answer: Answer) -> Iterator[State]:
        """Take the next answer, and give the states that are decided now."""
        if self._finder is not None:
            passed = self._every if self._last is None else answer.time - self._last
            self._finder.add(log_odds(answer, self._threshold), min(passed, self._every))
        gap = self._last is not None and answer.time - self._last > self._longest_gap
        self._last = answer.time
        if gap:
            yield from self.finish()
        if self._reading_first:
            self._first.append(answer)
            if answer.time - self._first[0].time >= _FIRST_LOOK_S or len(self._first) >= _MOST_FIRST:
                yield from self._decide_first()
        else:
            yield from self._decide(answer)

    def finish(self) -> Iterator[State]:
        """Give the states of all frames that wait."""
        yield from self._decide_first()
        yield from self._smoother.finish()

    def _decide_first(self) -> Iterator[State]:
        self._reading_first = False
        while self._first:
            yield from self._decide(self._first.popleft())

    def _decide(self, answer: Answer) -> Iterator[State]:
        if self._finder is not None and answer.time >= self._look_at:
            self._levels = self._finder.find()
            wait = min(max(_LOOK_AGAIN_S, _LOOK_AGAIN_SHARE * answer.time), _LOOK_AGAIN_AT_MOST_S)
            self._look_at = answer.time + wait
        evidence = self._levels.evidence(log_odds(answer, self._threshold))
        yield from self._smoother.add(answer, trusted(evidence, answer))
