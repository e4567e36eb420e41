"""Video by PyAV: open a source, decode what is needed, and survive what is broken.

PyAV (BSD-3, with FFmpeg inside its wheels) is imported here, when a video is opened.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from PIL import Image

from roadclear.deploy.watch.frames import Frame, Pace
from roadclear.deploy.watch.source import Source, SourceKind
from roadclear.errors import DatasetError, EngineError, PhotoError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 50_000_000
"""Largest number of pixels of a frame. A frame of 8K video has 33 million."""

REMOTE_TIMEOUT_S = 20.0
"""Seconds without an answer after which a video at an address is given up."""

_FILE_PROTOCOLS = "file"
_NETWORK_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
_MOST_ERRORS = 1_000
"""Errors in a row at which the rest of a file is given up."""

_USUAL_RATE = 25.0
_REFERENCES = 4
"""Frames of which at least one is a reference, in the usual patterns of encoders."""

_WORDS = {
    "ExitError": "no answer in time",
    "InvalidDataError": "it holds no video that can be read",
    "EOFError": "it ended",
}
"""What some errors of FFmpeg mean, by their class."""

_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}


def import_av() -> Any:
    """Import PyAV, and keep FFmpeg from printing: its messages hold addresses with passwords.

    Raises:
        EngineError: PyAV is not installed.
    """
    try:
        import av
        import av.logging
    except ImportError as error:
        raise EngineError("video needs the extra watch: run `pip install 'roadclear[watch]'`") from error
    av.logging.set_level(None)
    return av


def open_video(source: Source, timeout: float | None = None) -> "InputContainer":
    """Open a video file, a camera or an address.

    Args:
        source: what to open. A file opens no other file and no address; an address opens no file.
        timeout: seconds after which opening, and later reading, ends with an error; None for a file.

    Raises:
        EngineError: PyAV is not installed.
        av.FFmpegError, OSError, ValueError: FFmpeg cannot open the source. The text of the error may hold a password.
    """
    av = import_av()
    remote = source.kind in (SourceKind.ADDRESS, SourceKind.REMOTE_FILE)
    options = {"protocol_whitelist": _NETWORK_PROTOCOLS if remote else _FILE_PROTOCOLS}
    if source.kind is SourceKind.ADDRESS:
        options["analyzeduration"] = "1000000"
    if source.place.lower().startswith("rtsp"):
        # Without a buffer, what FFmpeg reads to know the stream is dropped. HLS would lose whole pieces.
        options |= {"rtsp_transport": "tcp", "fflags": "nobuffer"}
    camera = "avfoundation" if sys.platform == "darwin" else "v4l2"
    form = camera if source.kind is SourceKind.CAMERA else None
    if source.kind is SourceKind.CAMERA:
        options = {}
    container: InputContainer = av.open(source.place, format=form, options=options, timeout=timeout)
    return container


def as_stored(source: Source, timeout: float) -> Source:
    """Return the source, as a remote file where its address is that of a video with an end.

    Args:
        source: what is watched.
        timeout: seconds to wait for an answer. Without one, the source is taken as live.

    Raises:
        EngineError: PyAV is not installed.
    """
    if source.kind is not SourceKind.ADDRESS or not source.place.lower().startswith("http"):
        return source
    av = import_av()
    try:
        with open_video(source, timeout) as container:
            ends = bool(container.duration and container.size > 0)
    except (av.FFmpegError, OSError, ValueError):
        ends = False
    return replace(source, kind=SourceKind.REMOTE_FILE) if ends else source


def video_stream(container: "InputContainer") -> "VideoStream":
    """Return the first video stream, ready to decode on one thread.

    Decoding on one thread keeps the other cores for the model, and keeps FFmpeg's decoders from crashing on a stream
    that ends inside its first frame.

    Raises:
        DatasetError: there is no video, or nothing says how it is coded.
    """
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            return stream
    raise DatasetError("expected a video, found none in it: check the file")


def picture_of(frame: "VideoFrame") -> Image.Image:
    """Convert a frame to an upright RGB picture.

    Raises:
        PhotoError: the frame cannot be converted.
    """
    if frame.width * frame.height > MAX_FRAME_PIXELS:
        raise PhotoError(f"too large: a frame of {frame.width:,} x {frame.height:,} pixels")
    try:
        # `to_image` gives the same pixels, and takes ten times as long.
        picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
        turn = _TURNS.get(int(frame.rotation))
    except Exception as error:  # FFmpeg's errors of converting have no narrower base class
        raise PhotoError(f"a damaged frame ({type(error).__name__})") from None
    return picture if turn is None else picture.transpose(turn)


class VideoFile:
    """Frames of a video file.

    Args:
        source: video file.
        every: seconds between two frames.

    Attributes:
        broken: number of packets and frames that could not be decoded until now.

    Raises:
        DatasetError: the file is no video that can be read.
        EngineError: PyAV is not installed.
    """

    def __init__(self, source: Source, every: float) -> None:
        av = import_av()
        self.broken = 0
        self._errors = (av.FFmpegError, ValueError, OSError, RuntimeError, LookupError)
        self._name, self._every = source.name, every
        try:
            self._container = open_video(source, REMOTE_TIMEOUT_S if source.kind is SourceKind.REMOTE_FILE else None)
        except self._errors as error:
            raise DatasetError(f"{printable(self._name)!r} cannot be read as a video: {why(error)}") from None
        try:
            self._stream = video_stream(self._container)
        except DatasetError:
            self._container.close()
            raise DatasetError(f"{printable(self._name)!r} has no video in it: check the file") from None
        self._rate = float(self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE)
        skip = needed_frames(self._stream, every, self._rate)
        self._stream.codec_context.skip_frame = skip  # type: ignore[assignment]

    def frames(self) -> Iterator[Frame]:
        """Decode the frames, one every so many seconds, and close the file at the end."""
        pace, last, start = Pace(self._every), -1.0, None
        try:
            for frame in self._decoded():
                time = frame.time
                start = time if start is None and time is not None else start
                time = last + 1 / self._rate if time is None or start is None else time - start
                if time <= last:  # a clock that starts again, as in files that were joined
                    start = None if start is None else start - (last + 1 / self._rate - time)
                    time = last + 1 / self._rate
                last = max(time, 0.0)
                if pace.takes(last):
                    yield Frame(last, lambda frame=frame: picture_of(frame))  # type: ignore[misc]
        finally:
            self._container.close()

    def _decoded(self) -> "Iterator[VideoFrame]":
        """Decode packet by packet, and pass over what is broken."""
        in_row = 0
        while in_row < _MOST_ERRORS:
            try:
                for packet in self._container.demux(self._stream):
                    decoded, failed = self._decode(packet)
                    self.broken += failed
                    yield from decoded
                    in_row = 0
                return
            except EOFError:
                return
            except self._errors:  # the iterator has ended; a new one goes on behind the damage
                self.broken += 1
                in_row += 1

    def _decode(self, packet: "Packet[VideoStream]") -> "tuple[list[VideoFrame], int]":
        """Decode a packet: the whole frames, and the number of frames that are damaged."""
        try:
            frames = packet.decode()
        except EOFError:
            return [], 0
        except self._errors:
            return [], 1
        whole = [frame for frame in frames if not frame.is_corrupt]
        return whole, len(frames) - len(whole)


def needed_frames(stream: "VideoStream", every: float, rate: float) -> str:
    """Say which frames must be decoded for one frame every so many seconds.

    Returns:
        "NONKEY" to skip all frames but key frames, where these are close enough. "NONREF" to skip frames to which no
        other refers, where enough others remain. Else "DEFAULT".
    """
    times = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    if len(times) > 1 and stream.time_base is not None:
        end = stream.duration or times[-1]
        widest = max(later - earlier for earlier, later in pairwise([*times, max(end, times[-1])]))
        if float(widest * stream.time_base) <= every:
            return "NONKEY"
    return "NONREF" if every * rate >= _REFERENCES else "DEFAULT"


def why(error: BaseException) -> str:
    """Say what is wrong, without the address that FFmpeg's own texts hold."""
    name = type(error).__name__
    reason = _WORDS.get(name) or getattr(error, "strerror", None)
    return printable(str(reason)) if reason else name
