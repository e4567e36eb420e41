"""The thread that follows the folder: whenever photos or labels change, the model is trained again.

The newest change wins. Between the stages of an update the folder is looked at, and a change starts anew.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from roadclear.deploy.studio.hub import Hub
from roadclear.deploy.studio.library import Library, Listing
from roadclear.deploy.studio.numbers import gain_values, task_values, values
from roadclear.deploy.studio.ports import Task, Trainer
from roadclear.errors import RoadclearError
from roadclear.utils.progress import ProgressCallback

_LOOK_S = 1.0
"""Seconds between two looks at the folder, for changes by other programs."""

_LOOK_SHARE = 0.05
"""Largest share of the time that looking may take."""

_TELL_S = 0.3
"""Seconds between two messages about the progress."""

_SILENCE_S, _LONGEST_WAIT_S = 0.1, 1.0
"""A change is followed by an update once nothing else has changed for so long, and after this time at the latest."""


class _OutdatedError(Exception):
    """The folder has changed since the work began."""


@dataclass
class _Known:
    """What the last update found. Read by other threads, replaced whole."""

    numbers: dict[str, Any] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()


class Follower:
    """Thread that keeps the numbers up to date.

    Args:
        library: photos of the folder.
        trainer: training.
        hub: place for the news.

    Attributes:
        known: what the last update found.
    """

    def __init__(self, library: Library, trainer: Trainer, hub: Hub) -> None:
        self._library, self._trainer, self._hub = library, trainer, hub
        self._nudge = threading.Event()
        self._stopping = False
        self._changed_at = time.monotonic()
        self._kept: set[tuple[str, str]] = set()
        self._accuracy: float | None = None
        self._searched = 0
        self._trained: Listing | None = None
        self.known = _Known()
        self._thread = threading.Thread(target=self._run, name="roadclear-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its stage."""
        self._stopping = True
        self._nudge.set()
        self._thread.join(timeout=10)

    def changed(self) -> None:
        """Say that something has changed on disk, so that the folder is looked at now."""
        self._changed_at = time.monotonic()
        self._nudge.set()

    def keep(self, file: str, reason: str) -> None:
        """Take a photo off the list, because the person leaves it as it is."""
        self._kept.add((file, reason))
        self._publish_tasks(self.known.tasks)

    def _run(self) -> None:
        trained, pause = 0, 0.0
        while not self._stopping:
            self._nudge.wait(pause)
            self._nudge.clear()
            if self._stopping:
                return
            began = time.monotonic()
            listing = self._look()
            if listing is not None and listing.version != trained:
                listing = self._settled(listing)
                trained = listing.version
                self._follow(listing)
                began = time.monotonic()
            pause = max(_LOOK_S, (time.monotonic() - began) / _LOOK_SHARE)

    def _look(self) -> Listing | None:
        """List the folder, and tell the pages where it has changed."""
        before = self._library.listing.version
        try:
            listing = self._library.refresh()
        except RoadclearError as error:
            self._hub.publish("folder", problem=str(error))
            return None
        if listing.version != before:
            self._changed_at = min(self._changed_at, time.monotonic()) if self._nudge.is_set() else time.monotonic()
            self._hub.publish("folder", problem="")
            self._hub.publish("photos", version=listing.version)
        return listing

    def _settled(self, listing: Listing) -> Listing:
        """Wait until nothing else changes, but not for long."""
        until = time.monotonic() + _LONGEST_WAIT_S
        while time.monotonic() < until and not self._stopping:
            self._nudge.wait(_SILENCE_S)
            if not self._nudge.is_set():
                break
            self._nudge.clear()
            listing = self._look() or listing
        return self._look() or listing

    def _outdated(self, listing: Listing) -> bool:
        return self._stopping or self._nudge.is_set() or self._library.listing.version != listing.version

    def _follow(self, listing: Listing) -> None:
        """Bring numbers and findings up to date. Where only unlabelled photos have changed, the numbers still hold."""
        if self._trained is None or not listing.trains_like(self._trained):
            self._update(listing)
            self._trained = listing
        else:
            self.known = _Known(self.known.numbers | {"version": listing.version}, self.known.tasks)
            self._hub.publish("numbers", version=listing.version)
        try:
            self._look_further(listing, trained="problem" not in self.known.numbers)
        except _OutdatedError:
            return
        except Exception as error:
            self._hub.publish("folder", problem=f"{type(error).__name__}: {error}")

    def _update(self, listing: Listing) -> None:
        self._hub.publish("training", version=listing.version, running=True)
        try:
            numbers = values(
                self._trainer.update(listing.dataset, self._progress(listing, "training")), listing.version
            )
        except RoadclearError as error:
            numbers = {"version": listing.version, "problem": str(error)}
        except Exception as error:  # the page must not lose its trainer to one odd photo
            numbers = {"version": listing.version, "problem": f"the training failed ({type(error).__name__}: {error})"}
        numbers["since_change"] = time.monotonic() - self._changed_at
        numbers["before"] = self._accuracy
        self._accuracy = numbers.get("accuracy", {}).get("value", self._accuracy)
        self.known = _Known(numbers, self.known.tasks)
        self._hub.publish("training", version=listing.version, running=False)
        self._hub.publish("numbers", version=listing.version)

    def _look_further(self, listing: Listing, trained: bool) -> None:
        """Find what to do next, and whether more photos help. A change of the folder ends the search.

        Raises:
            _OutdatedError: the folder has changed.
        """
        tell = self._progress(listing, "searching")

        def check(*_: object) -> None:
            if self._outdated(listing):
                raise _OutdatedError

        def progress(stage: str, done: int, total: int) -> None:
            check()
            tell(stage, done, total)

        check()
        tasks = tuple(self._trainer.agenda(listing.dataset, progress))
        self._searched = listing.version
        self._publish_tasks((*tasks, *(task for task in self.known.tasks if not task.label)))
        unlabelled = self._trainer.label_next(listing.dataset, listing.unlabelled, progress)
        self._publish_tasks((*tasks, *unlabelled))
        self._hub.publish("searching", version=listing.version, running=False)
        if trained:
            check()
            gain = self._trainer.gain(check)
            self._hub.publish("gain", version=listing.version, gain=gain_values(gain) if gain is not None else None)

    def _progress(self, listing: Listing, kind: str) -> ProgressCallback:
        """Make a callback that tells the pages how far some work is, a few times a second, by events of a kind."""
        told = time.monotonic()

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal told
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                self._hub.publish(kind, version=listing.version, running=True, stage=stage, done=done, total=total)

        return progress

    def _publish_tasks(self, tasks: Sequence[Task]) -> None:
        left = tuple(task for task in tasks if (task.file, task.reason) not in self._kept)
        self.known = _Known(self.known.numbers, left)
        self._hub.publish("tasks", count=len(left), version=self._searched)

    def task_list(self) -> list[dict[str, Any]]:
        """Return the photos to decide on, as plain values. Photos that are gone by now are left out."""
        there = {photo.file for photo in self._library.listing.photos}
        return [task_values(task) for task in self.known.tasks if task.file in there]
