"""Tables that grow: whole after every step, and nothing of others is overwritten."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadclear.deploy.watch.events import Event, State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.records import EVENT_COLUMNS, EVENTS, FRAMES, LINES, Records, new_folder
from roadclear.errors import OutputError
from roadclear.utils.tables import read_records

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


def event(number: int, start: float, end: float, ended: bool) -> Event:
    return Event(number, start, end, start, 0.9, 3, 2.4, 1, ended)


def test_an_event_is_in_the_table_before_it_has_ended(tmp_path: Path) -> None:
    told: list[str] = []
    with Records(tmp_path, ("empty", "crossing"), NOON, told.append) as records:
        for end in (1.0, 100.25, 5.5):  # a later row may be shorter
            records.add_event(event(1, 1.0, end, ended=False))
            columns, rows = read_records(tmp_path / EVENTS)
            assert columns == list(EVENT_COLUMNS)
            assert [(row["event"], row["end"], row["ended"]) for row in rows] == [("1", str(end), "no")]
        records.add_event(event(1, 1.0, 6.0, ended=True))
        records.add_event(event(2, 8.0, 9.0, ended=False))
        rows = read_records(tmp_path / EVENTS)[1]
    assert [(row["event"], row["end"], row["ended"]) for row in rows] == [("1", "6.0", "yes"), ("2", "9.0", "no")]
    assert rows[0]["clock"] == "2026-06-01T12:00:01.000+00:00"
    assert (rows[0]["label"], rows[0]["duration"], rows[0]["unsure_share"]) == ("crossing", "5.0", "0.3333")
    lines = [json.loads(line) for line in told]
    assert [(line["type"], line["event"]) for line in lines] == [("start", 1), ("end", 1), ("start", 2)]
    assert (tmp_path / LINES).read_text().splitlines() == told


def test_frames_are_written_when_they_are_flushed(tmp_path: Path) -> None:
    with Records(tmp_path, ("empty", "crossing"), None, print) as records:
        records.add_frame(State(Answer(0.2, 0.123456, True, False), 0.75))
        records.flush()
        (row,) = read_records(tmp_path / FRAMES)[1]
    assert row == {
        "time": "0.200",
        "probability": "0.1235",
        "belief": "0.7500",
        "state": "crossing",
        "unsure": "yes",
        "unfamiliar": "no",
    }


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    new_folder(folder, overwrite=False)
    (folder / EVENTS).write_text("old")
    with pytest.raises(OutputError, match="add --overwrite"):
        new_folder(folder, overwrite=False)
    assert (folder / EVENTS).read_text() == "old"
    new_folder(folder, overwrite=True)
    assert list(folder.iterdir()) == []
    (folder / "mine.txt").write_text("mine")
    (folder / FRAMES).write_text("old")
    with pytest.raises(OutputError, match=r"'mine.txt', which is not of a watch"):
        new_folder(folder, overwrite=True)
    assert (folder / FRAMES).read_text() == "old"
    with pytest.raises(OutputError):
        new_folder(folder / "mine.txt", overwrite=False)
