"""Tables of a watch that grow while it runs: frames.csv, events.csv, and events as lines of JSON.

Every row is written when it is known, also the row of an event that has not ended. A kill loses what was not yet
decided, and nothing before.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from roadclear.deploy.watch.events import Event, State
from roadclear.errors import OutputError
from roadclear.utils.files import as_output_error
from roadclear.utils.tables import csv_lines

EVENTS, FRAMES, LINES, PAGE = "events.csv", "frames.csv", "events.jsonl", "index.html"
OUR_FILES = (EVENTS, FRAMES, LINES, PAGE)

EVENT_COLUMNS = (
    "event",
    "start",
    "end",
    "label",
    "duration",
    "highest_probability",
    "mean_probability",
    "unsure_share",
    "frames",
    "clock",
    "ended",
)
FRAME_COLUMNS = ("time", "probability", "belief", "state", "unsure", "unfamiliar")


def new_folder(folder: Path, overwrite: bool) -> None:
    """Make the folder of a watch, or empty one of an earlier watch of our files.

    Raises:
        OutputError: the folder is in use and must not be overwritten, has other things in it, or cannot be written.
    """
    with as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(entry.name for entry in folder.iterdir())
        if not found:
            return
        if not overwrite:
            raise OutputError(f"{str(folder)!r} is already there: choose another name, or add --overwrite")
        if foreign := [name for name in found if name not in OUR_FILES]:
            raise OutputError(f"{str(folder)!r} has {foreign[0]!r}, which is not of a watch: choose another name")
        for name in found:
            (folder / name).unlink()


class Records:
    """Tables of a watch.

    Args:
        folder: folder of the tables, which `new_folder` made.
        labels: negative and positive label.
        began: clock time at second 0; None for a file, whose seconds are those of the file.
        tell: called with every line of JSON.
    """

    def __init__(
        self, folder: Path, labels: tuple[str, str], began: datetime | None, tell: Callable[[str], None]
    ) -> None:
        self._labels, self._began, self._tell = labels, began, tell
        with as_output_error(folder):
            self._frames = _Table(folder / FRAMES, FRAME_COLUMNS)
            self._events = _Table(folder / EVENTS, EVENT_COLUMNS)
            self._lines: BinaryIO = (folder / LINES).open("wb", buffering=0)
        self._told_start = 0
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()
        self._events.close()
        self._lines.close()

    def add_frame(self, state: State) -> None:
        """Write the row of a frame."""
        answer = state.answer
        row = (
            f"{answer.time:.3f}",
            f"{answer.probability:.4f}",
            f"{state.belief:.4f}",
            self._labels[state.on],
            "yes" if answer.unsure else "no",
            "yes" if answer.unfamiliar else "no",
        )
        with as_output_error(self._folder, "free some space"):
            self._frames.add(row)

    def add_event(self, event: Event) -> None:
        """Write the row of an event, in the place of its earlier row; tell when an event starts and when it ends."""
        values = self._values(event)
        with as_output_error(self._folder, "free some space"):
            if event.number > self._told_start:
                self._told_start = event.number
                self._line({"type": "start", **{name: values[name] for name in ("event", "start", "label", "clock")}})
            self._events.put([values[name] for name in EVENT_COLUMNS], last=event.ended)
            if event.ended:
                self._line({"type": "end", **values})

    def flush(self) -> None:
        """Hand all rows to the system, so that a kill of this process loses none of them."""
        with as_output_error(self._folder, "free some space"):
            self._frames.flush()

    def clock(self, time: float) -> str:
        """Return the clock time of a second, or nothing for a file."""
        if self._began is None:
            return ""
        return (self._began + timedelta(seconds=time)).isoformat(timespec="milliseconds")

    def _values(self, event: Event) -> dict[str, object]:
        return {
            "event": event.number,
            "start": round(event.start, 3),
            "end": round(event.end, 3),
            "label": self._labels[1],
            "duration": round(event.end - event.start, 3),
            "highest_probability": round(event.highest, 4),
            "mean_probability": round(event.mean, 4),
            "unsure_share": round(event.unsure_share, 4),
            "frames": event.frames,
            "clock": self.clock(event.start),
            "ended": "yes" if event.ended else "no",
        }

    def _line(self, values: dict[str, object]) -> None:
        line = json.dumps(values)
        self._lines.write(f"{line}\n".encode())
        self._tell(line)


class _Table:
    """CSV table that grows, whose last row may be written again. Use `add` or `put`, not both."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._file = path.open("wb", buffering=0)
        self._waiting = bytearray(csv_lines([columns]))
        self._kept = len(self._waiting)
        self.flush()

    def add(self, row: tuple[object, ...]) -> None:
        """Add a row; `flush` writes it."""
        self._waiting += csv_lines([row])

    def put(self, row: list[object], last: bool) -> None:
        """Write the last row again, in one call of the system, so that a kill leaves the old or the new row."""
        data = csv_lines([row])
        self._file.seek(self._kept)
        self._file.write(data)
        self._file.truncate()
        if last:
            self._kept += len(data)

    def flush(self) -> None:
        self._file.write(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        self.flush()
        self._file.close()
