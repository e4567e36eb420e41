"""One frame every so many seconds, whatever the time stamps; and folders of pictures."""

from pathlib import Path

import pytest
from clips import EMPTY
from hypothesis import given
from hypothesis import strategies as st

from roadclear.deploy.watch.frames import Pace
from roadclear.deploy.watch.source import find_source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.errors import DatasetError, PhotoError


@pytest.mark.parametrize(
    ("rate", "every", "taken"),
    [(25, 0.2, 50), (10, 0.2, 50), (5, 0.2, 50), (3, 0.2, 30), (30, 0.2, 50), (29.97, 0.2, 50), (25, 3.0, 4)],
)
def test_a_steady_rate_gives_the_steps_of_ten_seconds(rate: float, every: float, taken: int) -> None:
    pace = Pace(every)
    assert sum(pace.takes(k / rate) for k in range(round(10 * rate))) == taken


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.floats(0.05, 3))
def test_no_step_has_two_frames_and_no_step_with_a_frame_has_none(gaps: list[float], every: float) -> None:
    times = [sum(gaps[: k + 1]) for k in range(len(gaps))]
    pace = Pace(every)
    taken = [time for time in times if pace.takes(time)]
    assert taken[0] == times[0]

    def step(time: float) -> int:
        return int((time - times[0]) / every + 0.02 + 1e-9)  # a frame may come a fiftieth of a step early

    near = [time for time in times if abs((time - times[0]) / every + 0.02 - step(time)) < 1e-6]
    if not near:
        assert [step(time) for time in taken] == sorted({step(time) for time in times})


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for k in (1, 2, 10):
        EMPTY.resize((8 * k, 8)).save(tmp_path / f"frame-{k}.png")
    (tmp_path / "frame-11.jpg").write_bytes(b"no picture")
    frames = list(stored_frames(find_source(str(tmp_path)), 0.5)[0])
    assert [frame.time for frame in frames] == [0.0, 0.5, 1.0, 1.5]
    assert [frame.picture().width for frame in frames[:3]] == [8, 16, 80]
    with pytest.raises(PhotoError):
        frames[3].picture()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found no picture"):
        stored_frames(find_source(str(tmp_path)), 0.2)
