"""Clients for servers on loopback, whose pauses cost no time."""

import threading
from datetime import UTC, datetime, timedelta

import httpx

from roadclear.collect.client import ClientPolicy, Limits, open_client
from roadclear.collect.rate_limit import Clock

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class QuickClock(Clock):
    """Time that passes when someone sleeps, and only then."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return sum(self.sleeps)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.sleeps.append(seconds)


def quick_client(clock: Clock | None = None, limits: Limits | None = None, **policy: object) -> httpx.Client:
    """A client that may ask servers on loopback, any number of times a second."""
    values = {"max_rate": 1e9, "allow_private": True} | policy
    return open_client(ClientPolicy(**values), limits or Limits(seconds=20), clock=clock or QuickClock())  # type: ignore[arg-type]
