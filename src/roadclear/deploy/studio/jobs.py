"""Work that takes longer than an answer: collecting from the web, and taking the model away. One of each at a time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadclear.collect.client import ClientPolicy, open_client
from roadclear.collect.collector import Collection, CollectRequest, collect, searches_of
from roadclear.collect.providers import DEFAULT, make_provider
from roadclear.collect.providers.settings import Settings
from roadclear.deploy.studio.hub import Hub
from roadclear.errors import RoadclearError
from roadclear.utils.paths import turns_path
from roadclear.utils.progress import ProgressCallback


class _StoppedError(Exception):
    """The person has stopped the job."""


class Job:
    """Work in a thread of its own, whose state every page sees.

    Args:
        kind: kind of the event that tells the state.
        hub: place for the news.
    """

    def __init__(self, kind: str, hub: Hub) -> None:
        self._kind, self._hub = kind, hub
        self._lock = threading.Lock()
        self._running = False
        self._stop = threading.Event()

    def start(self, work: Callable[[ProgressCallback], Mapping[str, Any]]) -> bool:
        """Start the work; False where the job is running already.

        Args:
            work: function that gets a callback for progress, and returns what the page is told at the end.
        """
        with self._lock:
            if self._running:
                return False
            self._running = True
            self._stop.clear()
        self._hub.publish(self._kind, state="running", stage="", done=0, total=0)
        threading.Thread(target=self._run, args=(work,), name=f"roadclear-{self._kind}", daemon=True).start()
        return True

    def stop(self) -> None:
        """Ask the work to end after its present step."""
        if self._running:
            self._stop.set()
            self._hub.publish(self._kind, state="stopping")

    def _run(self, work: Callable[[ProgressCallback], Mapping[str, Any]]) -> None:
        try:
            result = {"state": "done", **work(self._progress)}
        except _StoppedError:
            result = {"state": "stopped"}
        except RoadclearError as error:
            result = {"state": "failed", "problem": str(error)}
        except Exception as error:  # the page must hear of every end
            result = {"state": "failed", "problem": f"{type(error).__name__}: {error}"}
        with self._lock:
            self._running = False
        self._hub.publish(self._kind, **result)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self._hub.publish(self._kind, state="running", stage=stage, done=done, total=total)


@dataclass(frozen=True)
class Wish:
    """What to collect: a phrase for each label, how many photos for each, and who asks."""

    phrases: tuple[str, str]
    per_label: int
    contact: str
    allow_private: bool = False


def collect_photos(
    folder: Path, labels: tuple[str, str], wish: Wish, changed: Callable[[], None], progress: ProgressCallback
) -> dict[str, Any]:
    """Collect photos into the folder, as `roadclear collect` does.

    Args:
        folder: folder of photos.
        labels: labels for the two phrases.
        wish: what to collect.
        changed: called after every photo.
        progress: called after every photo.

    Raises:
        RoadclearError: see `roadclear.collect.collector.collect`.
    """

    def after_photo(stage: str, done: int, total: int) -> None:
        changed()
        progress(stage, done, total)

    policy = ClientPolicy(wish.contact, allow_private=wish.allow_private, turns=turns_path())
    providers = [make_provider(name, Settings(contact=wish.contact)) for name in DEFAULT]
    searches = searches_of({label: [phrase] for label, phrase in zip(labels, wish.phrases, strict=True)}, providers)
    request = CollectRequest(labels, wish.per_label, searches)
    with open_client(policy) as client:
        collection = collect(folder, request, client, after_photo)
    return _collected(collection)


def _collected(collection: Collection) -> dict[str, Any]:
    rejected = sum(tally.rejected.total() for tally in collection.tallies.values())
    return {
        "photos": collection.photos,
        "licences": dict(collection.licences),
        "rejected": rejected,
        "failures": list(collection.failures),
    }
