"""Video of the frames that were watched, with state, probability and time drawn into each."""

import csv
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from roadclear.deploy.watch.records import FRAMES
from roadclear.deploy.watch.source import Source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.deploy.watch.video import import_av
from roadclear.deploy.watch.zone import Zone
from roadclear.errors import OptionError, OutputError, PhotoError
from roadclear.model.drawing.lettering import fit, font
from roadclear.model.drawing.overlay import NEGATIVE, POSITIVE
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from av.video.stream import VideoStream

SUFFIXES = (".mp4", ".mkv", ".mov")
_SIDE = 1280
_TICKS = 1000
_CODECS = ("libx264", "libopenh264", "mpeg4")


class Annotator:
    """Video that grows by a frame at a time.

    Args:
        path: file to write; its name ends in .mp4, .mkv or .mov.
        every: seconds between two frames.
        zone: polygon that is drawn; None for none.

    Raises:
        EngineError: PyAV is not installed.
        OutputError: the file cannot be written.
    """

    def __init__(self, path: Path, every: float, zone: Zone | None) -> None:
        av = import_av()
        self._errors = (av.FFmpegError, OSError, ValueError)
        self._path, self._zone, self._every = path, zone, every
        self._codec = next(name for name in _CODECS if name in av.codecs_available)
        self._last = -1
        self._frame = av.VideoFrame
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(path), "w")
        except self._errors as error:
            raise self._failure(error) from None
        self._stream: VideoStream | None = None

    def add(self, picture: Image.Image, time: float, probability: float, label: str, on: bool) -> None:
        """Draw a frame and add it. Times in seconds must increase.

        Raises:
            OutputError: the file cannot be written.
        """
        drawn = _draw(picture, self._zone, f"{_clock(time)}   {label}   {probability:.2f}", on)
        try:
            if self._stream is None:
                self._stream = self._container.add_stream(
                    self._codec, rate=Fraction(1 / self._every).limit_denominator(1000)
                )
                self._stream.width, self._stream.height = drawn.size
                self._stream.pix_fmt = "yuv420p"
                self._stream.codec_context.time_base = Fraction(1, _TICKS)
            if drawn.size != (self._stream.width, self._stream.height):
                drawn = drawn.resize((self._stream.width, self._stream.height))
            frame = self._frame.from_image(drawn)
            self._last = max(self._last + 1, round(time * _TICKS))
            frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
            self._container.mux(self._stream.encode(frame))
        except self._errors as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Write the end of the video.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except self._errors as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return OutputError(f"cannot write {printable(str(self._path))!r}: {reason}; choose another place")


def check_name(path: Path) -> None:
    """Refuse a name whose ending says no video format.

    Raises:
        OptionError: the name ends otherwise than in .mp4, .mkv or .mov.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"--annotate must end in {', '.join(SUFFIXES)}, got {printable(str(path))!r}")


def annotate_file(path: Path, source: Source, every: float, out: Path, zone: Zone | None) -> None:
    """Read a stored source again, and write its frames with the states of frames.csv.

    Args:
        path: video to write.
        source: video file or folder of frames.
        every: seconds between two frames, as in frames.csv.
        out: folder of frames.csv.
        zone: polygon that is drawn; None for none.

    Raises:
        OutputError: the video cannot be written.
    """
    annotator = Annotator(path, every, zone)
    rows = _rows(out / FRAMES)
    row = next(rows, None)
    try:
        for frame in stored_frames(source, every)[0]:
            if row is None:
                break
            if round(frame.time, 3) < float(row["time"]) - 1e-9:
                continue  # a frame that could not be used
            try:
                picture = frame.picture()
            except PhotoError:
                continue
            on = float(row["belief"]) >= 0.5
            annotator.add(picture, frame.time, float(row["probability"]), row["state"], on)
            row = next(rows, None)
    finally:
        annotator.close()


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _draw(picture: Image.Image, zone: Zone | None, text: str, on: bool) -> Image.Image:
    """Draw zone, state and text; the sides of the result are even, as H.264 needs them."""
    colour = POSITIVE if on else NEGATIVE
    scale = min(1.0, _SIDE / max(picture.size))
    size = tuple(max(2, round(side * scale) // 2 * 2) for side in picture.size)
    drawn = picture.resize(size, Image.Resampling.BILINEAR)  # type: ignore[arg-type]
    draw = ImageDraw.Draw(drawn)
    if zone is not None:
        corners = [
            (x * drawn.width / picture.width, y * drawn.height / picture.height) for x, y in zone.outline(picture.size)
        ]
        draw.line(list(chain(corners, corners[:1])), fill=colour, width=2)
    height = max(12, drawn.height // 20)
    draw.rectangle((0, 0, drawn.width, height + 8), fill=colour)
    draw.text((6, 4), fit(text, height, drawn.width - 12), (255, 255, 255), font(height))
    if on:
        draw.rectangle((0, 0, drawn.width - 1, drawn.height - 1), outline=colour, width=max(3, height // 4))
    return drawn


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}"
