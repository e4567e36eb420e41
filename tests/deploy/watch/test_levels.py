"""Levels of a camera: found where they are shifted, left alone where frames of one kind are missing."""

import numpy as np
import pytest

from roadclear.deploy.watch.decide import Decider
from roadclear.deploy.watch.events import State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.levels import AS_TRAINED, LevelFinder, Levels
from roadclear.deploy.watch.settings import EventSettings


def find(low: float, high: float, share: float, frames: int = 1500, spread: float = 0.8) -> Levels:
    draw, finder = np.random.default_rng(0), LevelFinder()
    for k in range(frames):
        mean = high if (k / frames) % 0.25 < 0.25 * share else low
        finder.add(mean + draw.normal(0, spread), 0.2)
    return finder.find()


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_middle_of_a_shifted_camera_is_found(shift: float, share: float) -> None:
    levels = find(shift - 2, shift + 2, share)
    assert levels.middle == pytest.approx(shift, abs=0.5)
    assert levels.distance == pytest.approx(4, abs=0.6)
    assert levels.width == pytest.approx(0.8, abs=0.2)


@pytest.mark.parametrize(("level", "on"), [(-4.0, False), (-1.5, False), (4.5, True)])
def test_frames_of_one_kind_keep_their_answer(level: float, on: bool) -> None:
    """A camera that always sees people, or never, is no reason to find a contrast."""
    assert (find(level, level, 0.5, spread=0.3).evidence(level) > 0) is on


def test_without_frames_the_answer_of_the_model_holds() -> None:
    levels = LevelFinder().find()
    assert levels.middle == pytest.approx(0, abs=1e-6)
    assert AS_TRAINED.evidence(1.3) == pytest.approx(1.3)


def test_what_lies_beyond_the_histogram_counts_at_its_end() -> None:
    finder = LevelFinder()
    for sign in (1, -1) * 200:
        finder.add(sign * 1e9, 1.0)
    assert finder.find().middle == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("live", [False, True])
def test_a_biased_camera_has_the_events_that_the_model_alone_would_miss(live: bool) -> None:
    """Frames without people get 0.7, frames with people 0.98: by the model alone, one event takes all."""
    times = np.arange(0, 300, 0.2)
    on = (times % 60 > 40) & (times % 60 < 50)
    logits = np.where(on, 3.9, 0.85) + np.random.default_rng(1).normal(0, 0.4, len(times))
    decided: dict[str, list[State]] = {}
    for levels in ("camera", "model"):
        decider = Decider(EventSettings(levels=levels), 0.5, live, 0.2)
        decided[levels] = [
            state
            for time, logit in zip(times, logits, strict=True)
            for state in decider.add(Answer(float(time), float(1 / (1 + np.exp(-logit))), False, False))
        ]
        decided[levels] += decider.finish()
    learnt = times > 60  # a live watch knows the camera after a while
    right = {
        name: float(np.mean(np.array([s.on for s in found])[learnt] == on[learnt])) for name, found in decided.items()
    }
    assert right["camera"] > 0.97
    assert right["model"] < 0.4
