"""Every second of a training is counted once: as features, or as part of the stage that it passed in."""

import time

import pytest

from roadclear.features.extractor import ExtractionStats
from roadclear.training.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the test moves."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_features_that_a_stage_computes_are_no_part_of_it(clock: list[float]) -> None:
    stats = ExtractionStats(features_s=5.0)
    watch = Stopwatch(stats)
    with watch.stage("head_s"):
        clock[0] += 7
        stats.features_s += 3
    with watch.stage("finetune_s"):
        clock[0] += 2
    assert watch.seconds == {"head_s": 4, "finetune_s": 2}


def test_the_timing_of_a_run(clock: list[float]) -> None:
    watch = Stopwatch(ExtractionStats(photos=9, inferences=15, decode_s=1.5, features_s=2.5))
    with watch.stage("head_s"):
        clock[0] += 4
    assert watch.timing(photos=10, total_s=8.0) == {
        "photos": 10,
        "views": 15,
        "decode_s": 1.5,
        "features_s": 2.5,
        "head_s": 4,
        "total_s": 8.0,
    }
