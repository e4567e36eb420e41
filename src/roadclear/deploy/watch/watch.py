"""Watch a source: frames, answers, states, events, and the tables and pages that tell of them."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from roadclear.deploy.watch.annotate import Annotator, annotate_file
from roadclear.deploy.watch.decide import Decider, longest_gap
from roadclear.deploy.watch.events import Event, EventLog, State
from roadclear.deploy.watch.evidence import log_odds
from roadclear.deploy.watch.keep import Keeper, is_undecided
from roadclear.deploy.watch.page import write_page
from roadclear.deploy.watch.records import PAGE, Records
from roadclear.deploy.watch.seen import Eye, Seen
from roadclear.deploy.watch.settings import EventSettings, FrameSettings
from roadclear.deploy.watch.source import Source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.deploy.watch.timeline import Summary
from roadclear.deploy.watch.zone import Zone
from roadclear.errors import DatasetError
from roadclear.model.predictor import Model
from roadclear.utils.files import write_file
from roadclear.utils.progress import ProgressCallback, no_progress

_FLUSH_S, _PAGE_S = 0.5, 60.0


@dataclass(frozen=True)
class Keep:
    """Where undecided frames are kept, and at most how many."""

    folder: Path
    at_most: int


@dataclass(frozen=True, kw_only=True)
class WatchJob:
    """What is watched, how, and what is written.

    Attributes:
        source: what is watched.
        out: folder of the tables and the page. It is there and empty.
        frames: step, timeout, patience and duration.
        events: how probabilities become events.
        zone: part of the view that matters; None for all.
        keep: where undecided frames are kept; None for nowhere.
        annotate: video with the state drawn into it; None for none. Nothing is at the path.
        began: clock time of second 0; None where it is not known.
    """

    source: Source
    out: Path
    frames: FrameSettings = field(default_factory=FrameSettings)
    events: EventSettings = field(default_factory=EventSettings)
    zone: Zone | None = None
    keep: Keep | None = None
    annotate: Path | None = None
    began: datetime | None = None


@dataclass(frozen=True)
class WatchResult:
    """What a watch found.

    Attributes:
        events: number of events.
        event_seconds: their durations together.
        seconds: time of the last frame, with its step.
        frames: number of frames that the model answered.
        broken: number of frames and packets that could not be used.
        unsure: number of frames that the model is unsure of, or that are unlike its training photos.
        kept: number of undecided frames that were kept.
        reconnects: number of times that a live source was opened again and gave frames.
    """

    events: int
    event_seconds: float
    seconds: float
    frames: int
    broken: int
    unsure: int
    kept: int
    reconnects: int


def watch(
    model: Model,
    job: WatchJob,
    tell: Callable[[str], None],
    remark: Callable[[str], None],
    progress: ProgressCallback = no_progress,
) -> WatchResult:
    """Watch a source until it ends, the duration is over, or the user presses Ctrl-C, the usual end of a live watch.

    Args:
        model: model that predicts the frames.
        job: what is watched and what is written.
        tell: called with a line of JSON when an event starts, and when it ends.
        remark: called with a sentence when a live source is lost or back.
        progress: called with the number of seconds of a file that are decided.

    Raises:
        DatasetError: the source gives no frame that can be used.
        EngineError: PyAV is needed and not installed.
        OutputError: a result cannot be written.
        KeyboardInterrupt: the watch of a file was stopped. What was decided is written.
    """
    if job.source.live:
        from roadclear.deploy.watch.video import as_stored

        job = replace(job, source=as_stored(job.source, job.frames.timeout))
    began = datetime.now().astimezone() if job.source.live else job.began
    with Records(job.out, (model.facts.negative, model.facts.positive), began, tell) as records:
        watcher = _Watcher(model, job, records, began)
        if job.source.live:
            return watcher.live(remark)
        return watcher.stored(progress)


class _Watcher:
    """One watch. Frames that wait for their state are kept in `_seen`, by time."""

    def __init__(self, model: Model, job: WatchJob, records: Records, began: datetime | None) -> None:
        facts, live = model.facts, job.source.live
        self._job, self._records, self._facts = job, records, facts
        self._labels = facts.negative, facts.positive
        self._eye = Eye(model, job.zone, job.keep is not None, live and bool(job.keep or job.annotate))
        self._decider = Decider(job.events, facts.threshold, live, job.frames.every)
        self._log = EventLog(job.frames.every, longest_gap(job.frames.every))
        self._summary = Summary(job.frames.every, began)
        self._seen: OrderedDict[float, Seen] = OrderedDict()
        self._keeper: Keeper | None = None
        if job.keep is not None:
            stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
            self._keeper = Keeper(job.keep.folder, job.keep.at_most, self._labels, job.source.name, stamp)
        self._annotator: Annotator | None = None
        self._unusable = 0
        self._flushed = self._paged = time.monotonic()

    def stored(self, progress: ProgressCallback) -> WatchResult:
        """Watch a file or folder to its end; then read it again for pictures that were not known to be needed."""
        every = self._job.frames.every
        frames, broken = stored_frames(self._job.source, every)
        seen = self._eye.see_all(frames)
        try:
            for one in seen:
                self._take(one)
                progress("Watching", int(self._summary.end), max(int(self._summary.end), 1))
        finally:
            seen.close()
            self._finish()
        if not self._summary.frames:
            raise DatasetError(f"{self._job.source.name!r} has no frame that can be used: check the source")
        self._write_page(broken())
        result = self._result(broken(), 0)
        self._fill_kept()
        if self._job.annotate is not None:
            annotate_file(self._job.annotate, self._job.source, every, self._job.out, self._job.zone)
        return result

    def live(self, remark: Callable[[str], None]) -> WatchResult:
        """Watch a camera or an address until it ends."""
        from roadclear.deploy.watch.live import LiveFrames

        source = LiveFrames(self._job.source, self._job.frames, remark)
        try:
            with suppress(KeyboardInterrupt):  # the usual end of a live watch
                for frame in source.frames():
                    if frame is not None:
                        self._take(self._eye.see(frame))
                    self._write_through()
        finally:
            self._finish()
        return self._result(source.broken, source.reconnects)

    def _take(self, seen: Seen) -> None:
        if seen.answer is None:
            self._unusable += 1
            return
        self._seen[seen.answer.time] = seen
        self._record(self._decider.add(seen.answer))
        if not self._job.source.live:
            self._write_through()

    def _record(self, states: Iterator[State]) -> None:
        """Write frames whose state is decided, and the events that they begin, go on with or end."""
        for state in states:
            seen = self._seen.pop(state.answer.time)
            self._records.add_frame(state)
            self._record_events(self._log.add(state))
            self._summary.add(state, seen.thumbnail)
            if self._keeper is not None:
                sure = not is_undecided(state, log_odds(state.answer, self._facts.threshold) >= 0)
                self._keeper.offer(state, seen.look, seen.part, sure)
            if self._job.annotate is not None and seen.whole is not None:
                self._draw(seen, state)

    def _record_events(self, events: Iterator[Event]) -> None:
        for event in events:
            self._records.add_event(event)
            if event.ended:
                self._summary.add_event(event)

    def _draw(self, seen: Seen, state: State) -> None:
        """Add a live frame to the annotated video."""
        if seen.whole is None or self._job.annotate is None:
            return
        if self._annotator is None:
            self._annotator = Annotator(self._job.annotate, self._job.frames.every, self._job.zone)
        self._annotator.add(seen.whole, state.answer.time, state.answer.probability, self._labels[state.on], state.on)

    def _write_through(self) -> None:
        now = time.monotonic()
        if now - self._flushed >= _FLUSH_S:
            self._flushed = now
            self._records.flush()
        if self._job.source.live and now - self._paged >= _PAGE_S:
            self._paged = now
            self._write_page(0)

    def _finish(self) -> None:
        """Decide what waits, end the open event, and write everything."""
        self._record(self._decider.finish())
        self._record_events(self._log.finish())
        if self._annotator is not None:
            self._annotator.close()
        self._records.flush()
        self._write_page(0)

    def _write_page(self, broken: int) -> None:
        page = write_page(self._summary, self._facts, self._job.source.name, broken + self._unusable)
        write_file(self._job.out / PAGE, page)

    def _fill_kept(self) -> None:
        """Read a file again for the pictures of the frames that were kept."""
        if self._keeper is None or not self._keeper.missing:
            return
        missing, frames = self._keeper.missing, stored_frames(self._job.source, self._job.frames.every)[0]
        for frame in frames:
            if frame.time in missing:
                whole = frame.picture()
                self._keeper.fill(frame.time, whole if self._job.zone is None else self._job.zone.apply(whole))
                missing.discard(frame.time)
                if not missing:
                    return

    def _result(self, broken: int, reconnects: int) -> WatchResult:
        summary = self._summary
        kept = 0 if self._keeper is None else self._keeper.count
        return WatchResult(
            summary.events,
            summary.event_seconds,
            summary.end,
            summary.frames,
            broken + self._unusable,
            summary.unsure,
            kept,
            reconnects,
        )
