"""Rate limit per host, and pauses that a host asks for."""

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from roadclear.collect.rejections import FetchError, RejectionReason


class Clock:
    """System clock. Tests replace the clock by one that does not wait."""

    def monotonic(self) -> float:
        """Seconds since a fixed moment, never backwards."""
        return time.monotonic()

    def now(self) -> datetime:
        """Date and time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        time.sleep(seconds)


class RateLimit:
    """Rate limit per host. Thread-safe.

    Args:
        max_rate: maximum number of requests per second to one host, above 0.
        max_wait: longest pause of a host that is waited for, in seconds.
        clock: clock of the waiting times.
    """

    def __init__(self, max_rate: float, max_wait: float, clock: Clock) -> None:
        self._interval = 1 / max_rate
        self._max_wait = max_wait
        self._clock = clock
        self._next: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str) -> None:
        """Wait for the next permitted request to a host.

        Raises:
            FetchError: the host asked for a longer pause than `max_wait`.
        """
        with self._lock:
            now = self._clock.monotonic()
            pause = self._paused_until.get(host, now) - now
            if pause > self._max_wait:
                message = f"{host} asks for a pause of {pause:,.0f} seconds"
                raise FetchError(RejectionReason.UNREACHABLE, message)
            turn = max(now, now + pause, self._next.get(host, now))
            self._next[host] = turn + self._interval
        if turn > now:
            self._clock.sleep(turn - now)

    def pause(self, host: str, seconds: float) -> None:
        """Stop requests to a host for a number of seconds."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._paused_until[host] = max(until, self._paused_until.get(host, until))


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Read the seconds to wait from `Retry-After`, a number or a date (RFC 9110, section 10.2.3), or None."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
