"""How often a host is asked, and when it is left alone."""

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from roadclear.collect.rejections import FetchError, RejectionReason


class Clock:
    """Time as it is; tests have one of their own."""

    def monotonic(self) -> float:
        """Seconds since some moment, never backwards."""
        return time.monotonic()

    def now(self) -> datetime:
        """The date and time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Pace:
    """When each host may be asked next."""

    def __init__(self, max_rate: float, patience: float, clock: Clock) -> None:
        self._interval = 1 / max_rate
        self._patience = patience
        self._clock = clock
        self._next: dict[str, float] = {}
        self._closed_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str) -> None:
        """Wait for this host's next turn.

        Raises:
            FetchError: it asked to be left alone for longer than is worth waiting.
        """
        with self._lock:
            now = self._clock.monotonic()
            closed = self._closed_until.get(host, now) - now
            if closed > self._patience:
                message = f"{host} asks to be left alone for {closed:,.0f} seconds"
                raise FetchError(RejectionReason.UNREACHABLE, message)
            turn = max(now, now + closed, self._next.get(host, now))
            self._next[host] = turn + self._interval
        if turn > now:
            self._clock.sleep(turn - now)

    def leave_alone(self, host: str, seconds: float) -> None:
        """Do not ask this host for a while."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self._closed_until[host] = max(until, self._closed_until.get(host, until))


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Seconds that the answer asks to wait (RFC 9110, section 10.2.3: a number or a date); None where it does not."""
    told = response.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())
