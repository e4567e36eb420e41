"""Frames of a camera or an address, as they come: the newest one wins, and a lost source is opened again.

One thread reads and decodes; the caller takes the newest frame when it is ready. A slow model costs frames, not time.
A source that sends faster than this machine decodes is read up to the next key frame without decoding. A source that
comes in pieces (HLS, DASH) is read at the pace of its own time stamps.

Timeouts of FFmpeg end most waits. A watchdog ends the others: it gives up a reader that has not come back, and starts
another one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roadclear.deploy.watch.frames import Frame
from roadclear.deploy.watch.settings import FrameSettings
from roadclear.deploy.watch.source import Source, SourceKind
from roadclear.deploy.watch.video import import_av, open_video, picture_of, video_stream, why
from roadclear.errors import DatasetError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pauses before a lost source is opened again. Each is twice the one before, until a frame comes."""

_WATCHDOG = 2.5
"""Timeouts after which a reader that does not come back is given up."""

_BEHIND_S, _JUMP_S = 0.5, 10.0
"""Delay of the decoder at which frames are skipped, and delay that is rather a jump of the source's clock."""

_IN_PIECES = ("hls", "dash")
"""Formats of FFmpeg that load a stream as files of some seconds each."""

_OFF_PACE_S = 2.0
"""Distance between the time stamps and the clock at which both are compared anew."""

Tell = Callable[[str], None]


@dataclass
class _Reader:
    """Thread that reads one connection, and what it has read. `ended` says why it ended."""

    fresh: threading.Condition = field(default_factory=threading.Condition)
    newest: "tuple[float, VideoFrame] | None" = None
    last_sign: float = field(default_factory=time.monotonic)
    ended: str | None = None
    hopeless: bool = False
    stopped: bool = False
    broken: int = 0
    skipped: int = 0
    frames: int = 0


class LiveFrames:
    """Newest frames of a live source.

    Args:
        source: camera or address.
        settings: step, timeout, patience and duration in seconds.
        tell: called with a sentence when a source is lost, and when it is back.

    Attributes:
        broken: number of packets and frames that could not be decoded until now.
        reconnects: number of times that the source was opened again and gave frames.
    """

    def __init__(self, source: Source, settings: FrameSettings, tell: Tell) -> None:
        self._source, self._settings, self._tell = source, settings, tell
        self.broken = 0
        self.reconnects = 0
        self.began = time.monotonic()
        import_av()

    def frames(self) -> Iterator[Frame | None]:
        """Give the newest frame of each step, and None about once a second while there is none.

        Times of frames are seconds since this object was made, by the clock of this machine.

        Raises:
            DatasetError: the source gives no video, or gave no frame for as long as the user is patient.
        """
        pause, last_frame, ever = FIRST_PAUSE_S, time.monotonic(), False
        while not self._is_over():
            reader = _start(self._source, self._settings.timeout)
            try:
                for frame in self._of(reader):
                    if frame is not None:
                        if ever and reader.frames and pause > FIRST_PAUSE_S:
                            self.reconnects += 1
                            self._tell(f"{self._source.name} is back")
                        pause, last_frame, ever = FIRST_PAUSE_S, time.monotonic(), True
                    yield frame
                    self._check_patience(last_frame, reader.ended)
            finally:
                reader.stopped = True
                self.broken += reader.broken
            if self._is_over():
                return
            if reader.hopeless and not ever:
                what = "number" if self._source.kind is SourceKind.CAMERA else "address"
                raise DatasetError(f"{self._source.name}: {reader.ended}. Check the {what}")
            if pause == FIRST_PAUSE_S:
                self._tell(f"{self._source.name}: {reader.ended}. It is opened again until it answers")
            yield from self._wait(pause, last_frame, reader.ended)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _is_over(self) -> bool:
        return self._settings.duration is not None and time.monotonic() - self.began >= self._settings.duration

    def _check_patience(self, last_frame: float, reason: str | None) -> None:
        patience = self._settings.patience
        if patience and time.monotonic() - last_frame > patience:
            raise DatasetError(
                f"{self._source.name} gave no frame for {patience:g} s ({reason or 'no answer'}): check the source, or "
                "raise --patience"
            )

    def _wait(self, seconds: float, last_frame: float, reason: str | None) -> Iterator[None]:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._is_over():
            time.sleep(min(left, 0.5))
            self._check_patience(last_frame, reason)
            yield None

    def _of(self, reader: _Reader) -> Iterator[Frame | None]:
        """Give the frames of one connection, until it ends or the watchdog ends it."""
        due = time.monotonic()
        while not self._is_over():
            with reader.fresh:
                now = time.monotonic()
                if now >= due and reader.newest is not None:
                    came, decoded = reader.newest
                    reader.newest = None
                    due = (due if now - due < self._settings.every else now) + self._settings.every
                    frame = Frame(came - self.began, lambda decoded=decoded: picture_of(decoded))  # type: ignore[misc]
                elif reader.ended is not None:
                    return
                elif now - reader.last_sign > _WATCHDOG * self._settings.timeout:
                    reader.ended = f"no answer for {now - reader.last_sign:.0f} s"
                    return
                else:
                    reader.fresh.wait(min(max(due - now, 0.01), 0.5) if reader.newest is not None else 0.5)
                    frame = None
            if frame is not None or now - due > 1:
                yield frame


def _start(source: Source, timeout: float) -> _Reader:
    reader = _Reader()
    threading.Thread(target=_read, args=(source, timeout, reader), name="roadclear-live", daemon=True).start()
    return reader


def _read(source: Source, timeout: float, reader: _Reader) -> None:
    """Read a source until it ends or the reader is stopped. Never raises."""
    av = import_av()
    container = None
    try:
        container = open_video(source, timeout)
        stream = video_stream(container)
        if container.format.name in _IN_PIECES:
            _decode_at_pace(container.demux(stream), reader)
        else:
            _decode(container.demux(stream), stream, reader)
        reason = "the source ended"
    except _hopeless_errors(av) as error:
        reason, reader.hopeless = why(error), True
    except DatasetError as error:
        reason = str(error)
    except Exception as error:  # FFmpeg's errors have no narrower base class than Exception
        reason = why(error)
    with reader.fresh:
        reader.ended = reader.ended or reason
        reader.fresh.notify_all()
    if container is not None:
        container.close()


def _hopeless_errors(av: Any) -> tuple[type[Exception], ...]:
    """Errors that the next attempt would meet, too: refused, unknown, no device, or no right to read the device."""
    return (
        av.error.HTTPClientError,
        av.error.OptionNotFoundError,
        av.error.ProtocolNotFoundError,
        av.error.FileNotFoundError,
        av.error.PermissionError,
    )


def _decode(packets: "Iterator[Packet[VideoStream]]", stream: "VideoStream", reader: _Reader) -> None:
    """Decode packets as they come; when the decoder falls behind, skip to the next key frame.

    A decoder may hold the key frame back until it knows the frames behind it. So the decoder is emptied before a skip.
    """
    delay = _Delay()
    skipping = False
    for packet in packets:
        if reader.stopped:
            return
        reader.last_sign = now = time.monotonic()
        seconds = None if packet.pts is None or packet.time_base is None else float(packet.pts * packet.time_base)
        if packet.size == 0:
            continue
        if delay.of(seconds, now) > _BEHIND_S and not skipping:
            skipping = True
            _put(lambda: stream.codec_context.decode(None), reader, now)
            stream.codec_context.flush_buffers()
        if skipping and not packet.is_keyframe:
            reader.skipped += 1
            continue
        skipping = False
        _put(packet.decode, reader, now)


def _decode_at_pace(packets: "Iterator[Packet[VideoStream]]", reader: _Reader) -> None:
    """Decode packets that come in pieces. Each waits for its time, as if the packets had come one by one.

    FFmpeg drops pieces by itself when the reader is too slow.
    """
    ahead = 0.0  # the clock's time less that of the time stamps
    for packet in packets:
        reader.last_sign = now = time.monotonic()
        if packet.size == 0:
            continue
        if packet.dts is not None and packet.time_base is not None:
            offset = now - float(packet.dts * packet.time_base)
            if abs(ahead - offset) > _OFF_PACE_S:
                ahead = offset
            time.sleep(max(0.0, ahead - offset))
        if reader.stopped:
            return
        _put(packet.decode, reader, time.monotonic())


def _put(decode: "Callable[[], list[VideoFrame]]", reader: _Reader, came: float) -> None:
    """Decode, and put the newest frame in the place of an older one."""
    try:
        decoded = [frame for frame in decode() if not frame.is_corrupt]
    except Exception:  # a broken packet; FFmpeg's errors have no narrower base class
        reader.broken += 1
        return
    if decoded:
        with reader.fresh:
            reader.newest = came, decoded[-1]
            reader.frames += 1
            reader.fresh.notify_all()


class _Delay:
    """By how many seconds packets come later than at the best moment until now."""

    def __init__(self) -> None:
        self._least: float | None = None

    def of(self, seconds: float | None, now: float) -> float:
        """Return the delay of a packet with a time stamp, read now; 0 without a time stamp."""
        if seconds is None:
            return 0.0
        offset = now - seconds
        if self._least is None or offset < self._least or offset - self._least > _JUMP_S:
            self._least = offset
        return offset - self._least
