"""The hidden Markov model against the textbook's algorithm, and states that become events."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from roadclear.deploy.watch.decide import Decider
from roadclear.deploy.watch.events import Event, EventLog, Smoother, State
from roadclear.deploy.watch.evidence import STRONGEST, Answer, log_odds, trusted
from roadclear.deploy.watch.settings import EventSettings

AS_TOLD = EventSettings(levels="model")


def answers(probabilities: NDArray[np.float64], step: float = 0.2) -> list[Answer]:
    return [Answer(k * step, float(p), False, False) for k, p in enumerate(probabilities)]


def crossing(seconds: float, spans: list[tuple[float, float]], noise: float, step: float = 0.2) -> list[Answer]:
    """Answers of a noisy model to people in the spans."""
    times = np.arange(0, seconds, step)
    on = np.any([(times >= a) & (times < b) for a, b in spans], axis=0) if spans else np.zeros(len(times), bool)
    logits = np.where(on, 2.0, -2.0) + np.random.default_rng(0).normal(0, noise, len(times))
    return answers(1 / (1 + np.exp(-logits)), step)


def states(
    found: list[Answer], settings: EventSettings = AS_TOLD, live: bool = False, step: float = 0.2
) -> list[State]:
    decider = Decider(settings, 0.5, live, step)
    return [*(state for answer in found for state in decider.add(answer)), *decider.finish()]


def events(decided: list[State]) -> list[Event]:
    log = EventLog(decided[1].answer.time - decided[0].answer.time, 10.0)
    found = [event for state in decided for event in log.add(state)]
    return [event for event in {event.number: event for event in [*found, *log.finish()]}.values() if event.ended]


def forward_backward(evidence: NDArray[np.float64], step: float, settings: EventSettings) -> NDArray[np.float64]:
    """Rabiner 1989, equations 19, 24 and 27, with matrices."""
    begin, stop = 1 / settings.usual_gap, 1 / settings.usual_event
    mixed = 1 - math.exp(-(begin + stop) * step)
    begins, stops = begin / (begin + stop) * mixed, stop / (begin + stop) * mixed
    moves = np.array([[1 - begins, begins], [stops, 1 - stops]])
    weights = np.exp(np.stack([np.zeros_like(evidence), evidence], axis=1) * min(1.0, step / settings.independent))
    weights[0] = np.exp([0, evidence[0]])
    forward, backward = np.zeros((2, len(evidence), 2))
    forward[0] = weights[0] * np.array([stop, begin]) / (begin + stop)
    backward[-1] = 1
    for k in range(1, len(evidence)):
        forward[k] = weights[k] * (forward[k - 1] @ moves)
        forward[k] /= forward[k].sum()
    for k in range(len(evidence) - 2, -1, -1):
        backward[k] = moves @ (weights[k + 1] * backward[k + 1])
        backward[k] /= backward[k].sum()
    joined = forward * backward
    return np.asarray(joined[:, 1] / joined.sum(axis=1))


@pytest.mark.parametrize("frames", [1, 2, 50, 4000])
def test_beliefs_of_a_file_are_those_of_forward_backward(frames: int) -> None:
    evidence = np.random.default_rng(frames).normal(0, 1, frames).cumsum() % 7 - 3.5
    smoother = Smoother(AS_TOLD)
    found = answers(np.full(frames, 0.5))
    decided = [state for answer, e in zip(found, evidence, strict=True) for state in smoother.add(answer, float(e))]
    decided += smoother.finish()
    assert [state.answer for state in decided] == found, "every frame once, in order"
    expected = forward_backward(evidence, 0.2, AS_TOLD)
    np.testing.assert_allclose([state.belief for state in decided], expected, atol=1e-9)


def test_a_live_watch_decides_each_frame_a_lag_later_and_near_the_file() -> None:
    found = crossing(200, [(20, 30), (60, 66), (120, 140)], noise=2.0)
    decider, waits = Decider(AS_TOLD, 0.5, True, 0.2), []
    for answer in found:
        waits += [answer.time - state.answer.time for state in decider.add(answer)]
    assert max(waits) == pytest.approx(AS_TOLD.lag)
    late, whole = events(states(found, live=True)), events(states(found))
    assert len(late) == len(whole) == 3
    assert all(abs(a.start - b.start) < 1 and abs(a.end - b.end) < 1 for a, b in zip(late, whole, strict=True))


@pytest.mark.parametrize("step", [0.05, 0.2, 0.5])
def test_the_frame_rate_changes_no_event(step: float) -> None:
    spans = [(10.0, 18.0), (40.0, 45.0)]
    found = events(states(crossing(80, spans, noise=1.0, step=step), step=step))
    assert [(pytest.approx(e.start, abs=0.6), pytest.approx(e.end, abs=0.6)) for e in found] == spans


def test_short_slips_of_the_model_are_no_events() -> None:
    found = crossing(60, [(20, 30)], noise=0.5)
    for k in (30, 31, 120, 250):
        found[k] = Answer(found[k].time, 1 - found[k].probability, False, False)
    (event,) = events(states(found))
    assert (event.start, event.end) == (pytest.approx(20, abs=0.3), pytest.approx(30, abs=0.3))
    assert event.frames == 50
    assert event.highest > event.mean > 0.6


def test_a_long_gap_ends_an_event() -> None:
    first = crossing(20, [(10, 20)], noise=0)
    second = [Answer(a.time + 100, a.probability, False, False) for a in crossing(20, [(0, 5)], noise=0)]
    one, other = events(states([*first, *second]))
    assert (one.start, one.end) == (pytest.approx(10), pytest.approx(20))
    assert (other.start, other.end) == (pytest.approx(100), pytest.approx(105))


def test_evidence_is_bounded_and_doubtful_frames_weigh_less() -> None:
    sure = Answer(0, 1.0, False, False)
    assert log_odds(Answer(0, 0.7, False, False), 0.7) == pytest.approx(0)
    assert trusted(log_odds(sure, 0.5), sure) == STRONGEST
    weights = [
        trusted(1.0, Answer(0, 0.7, unsure, unfamiliar)) for unsure in (False, True) for unfamiliar in (False, True)
    ]
    assert weights[0] == 1
    assert weights[3] < min(weights[1:3]) <= max(weights[1:3]) < 1


def test_an_event_counts_its_frames() -> None:
    log = EventLog(1.0, 10.0)
    for time, p, belief, unsure in ((0, 0.1, 0.1, False), (1, 0.8, 0.9, False), (2, 0.6, 0.9, True)):
        list(log.add(State(Answer(time, p, unsure, False), belief)))
    assert log.open is not None
    assert (log.open.end, log.open.ended) == (2, False)
    (event,) = log.add(State(Answer(3, 0.2, False, False), 0.2))
    assert (event.number, event.start, event.end, event.ended, event.best) == (1, 1, 3, True, 1)
    assert (event.highest, event.mean, event.unsure_share) == (0.8, pytest.approx(0.7), 0.5)
    assert log.open is None
    assert list(log.finish()) == []
