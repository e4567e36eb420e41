"""The page of a watch: a timeline without false gaps, times that fit, and what long footage shows."""

import re
from datetime import UTC, datetime

import pytest
from heads import drawn_model

from roadclear.deploy.watch.events import Event, State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.page import clock, span, write_page
from roadclear.deploy.watch.timeline import Summary
from roadclear.model.metadata import ModelFacts
from roadclear.model.predictor import Model


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return Model(drawn_model()).facts


def summary_of(times: list[float], every: float, began: datetime | None = None) -> Summary:
    """Frames at these times; the second third of them lies in an event."""
    summary = Summary(every, began)
    for k, time in enumerate(times):
        on = len(times) // 3 <= k < 2 * len(times) // 3
        summary.add(State(Answer(time, 0.9 if on else 0.2, False, False), 0.9 if on else 0.1), b"")
    return summary


def paths(page: str) -> dict[str, str]:
    return dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', page))


@pytest.mark.parametrize(
    ("times", "every", "runs"),
    [
        ([0.2 * k for k in range(78)], 0.2, 1),  # 0.6 / 0.2 is 2.9999999999999996
        ([0.2 * k + 0.19 * (k % 2) for k in range(50)], 0.2, 1),  # a variable rate leaves bins without a frame
        ([0.0], 0.2, 1),
        ([float(k) for k in (*range(60), *range(100, 160))], 1.0, 2),  # a camera that was lost for 40 seconds
        ([5.0 * k for k in range(5000)], 5.0, 1),  # more frames than bins
        ([], 0.2, 0),
    ],
)
def test_the_timeline_has_a_gap_only_where_nothing_was_seen(
    times: list[float], every: float, runs: int, facts: ModelFacts
) -> None:
    page = write_page(summary_of(times, every), facts, "clip.mp4", 0).decode()
    drawn = paths(page)
    assert drawn["mean"].count("M") == drawn["high"].count("M") == runs
    edges = [float(x) for x in re.findall(r"[MH](\d+\.\d+)", drawn["mean"])]
    assert edges == sorted(edges) and all(0 <= x <= 1000 for x in edges)
    assert not times or (edges[0] == 0 and edges[-1] == 1000)


def test_events_are_a_lane_of_their_own(facts: ModelFacts) -> None:
    drawn = paths(write_page(summary_of([0.2 * k for k in range(60)], 0.2), facts, "clip.mp4", 0).decode())
    lane = [(float(left), float(right)) for left, right in re.findall(r"M([\d.]+),0H([\d.]+)V", drawn["on"])]
    assert (lane[0][0], lane[-1][1]) == (333.33, 666.67)


def test_a_long_page_has_clock_times_counts_an_hour_and_a_profile(facts: ModelFacts) -> None:
    began = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
    summary = summary_of([60.0 * minute for minute in range(26 * 60)], 60.0, began)
    summary.add_event(Event(1, 3600.0, 3690.0, 3630.0, 0.97, 2, 1.9, 0, True))
    page = write_page(summary, facts, "rtsp://***@camera.example/<one>", 2).decode()
    for words in (
        "Watched: 26 h 0 min in 1,560 frames. In events: 1 min 30 s (0%), 0.0 events an hour. 2 broken frames were",
        "1. 2026-06-01 07:00:00 to 07:01:30",
        "<td>2026-06-01 06:00</td>",
        "Profile of the day",
        "camera.example/&lt;one&gt;",
    ):
        assert words in page, words
    assert "<script" not in page


def test_a_short_page_tells_seconds_and_names_the_file(facts: ModelFacts) -> None:
    summary = summary_of([0.2 * k for k in range(60)], 0.2)
    summary.add_event(Event(1, 4.0, 8.0, 6.0, 0.97, 20, 19.0, 0, True))
    page = write_page(summary, facts, "/videos/a/clip.mp4", 1).decode()
    assert "<h1>clip.mp4: 1 event of crossing</h1>" in page and "/videos/a/clip.mp4</p>" in page
    assert "Watched: 12.0 s in 60 frames. In events: 4.0 s (33%). 1 broken frame was passed over." in page
    assert "1. 0:04.0 to 0:08.0" in page and "events an hour" not in page


@pytest.mark.parametrize(
    ("seconds", "text", "words"),
    [
        (0, "0:00.0", "0.0 s"),
        (59.96, "1:00.0", "60.0 s"),
        (75.25, "1:15.2", "1 min 15 s"),
        (3661, "1:01:01.0", "1 h 1 min"),
    ],
)
def test_seconds_as_a_clock_and_in_words(seconds: float, text: str, words: str) -> None:
    assert clock(seconds) == text
    assert span(seconds) == words
