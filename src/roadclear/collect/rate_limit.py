"""Rate limit per host, pauses that a host asks for, and an end to hosts that only cost time."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.turns import HostTurns, OwnTurns, Turns
from roadclear.errors import OutputError

LONGEST_PAUSE = 31_536_000.0
"""Longest pause that is read from an answer, in seconds: a year. A longer pause counts as a year."""

MAX_FAILURES = 4
"""Number of failures in a row, without which no host is given up."""

_DIGITS = len(str(int(LONGEST_PAUSE)))
_LONGEST_DATE = 64


class Clock:
    """System clock. Tests replace the clock by one that does not wait."""

    def monotonic(self) -> float:
        """Seconds since a fixed moment, never backwards, and the same in all processes of a machine."""
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
        max_silence: longest time in which a host may fail without a good answer between, in seconds.
        turns: turns of the hosts; None for those of this object alone.
    """

    def __init__(
        self, max_rate: float, max_wait: float, clock: Clock, max_silence: float = 180.0, turns: Turns | None = None
    ) -> None:
        self._interval = 1 / max_rate
        self._max_wait = max_wait
        self._max_silence = max_silence
        self._failures: dict[str, int] = {}
        self._failing_since: dict[str, float] = {}
        self._clock = clock
        self._turns = turns or OwnTurns()
        self._lock = threading.Lock()

    def wait(self, host: str) -> None:
        """Wait for the next permitted request to a host.

        Raises:
            FetchError: the host asked for a longer pause than `max_wait`, or has only failed for `max_silence`, or the
                turns cannot be written.
        """
        with self._lock:
            started = self._clock.monotonic()
            silence = started - self._failing_since.get(host, started)
            if self._failures.get(host, 0) >= MAX_FAILURES and silence > self._max_silence:
                message = f"{host} gave no good answer for {silence:,.0f} seconds"
                raise FetchError(RejectionReason.UNREACHABLE, message)
        while not self._has_waited(host):
            pass

    def _has_waited(self, host: str) -> bool:
        """Take a turn, and wait for the turn. Return whether the turn holds: no pause was asked for meanwhile."""
        now = self._clock.monotonic()

        def take(before: HostTurns) -> HostTurns:
            if before.paused_until - now > self._max_wait:
                return before
            return replace(before, next=max(now, before.paused_until, before.next) + self._interval)

        found = self._update(host, now, take)
        pause = found.paused_until - now
        if pause > self._max_wait:
            raise FetchError(RejectionReason.UNREACHABLE, f"{host} asks for a pause of {pause:,.0f} seconds")
        turn = max(found.paused_until, found.next)
        if turn <= now:
            return True
        self._clock.sleep(turn - now)
        return self._update(host, self._clock.monotonic(), lambda before: before).paused_until <= turn

    def pause(self, host: str, seconds: float) -> None:
        """Stop requests to a host for a number of seconds.

        Raises:
            FetchError: the turns cannot be written.
        """
        now = self._clock.monotonic()
        self._update(host, now, lambda before: replace(before, paused_until=max(now + seconds, before.paused_until)))

    def close(self) -> None:
        """Close the turns."""
        self._turns.close()

    def _update(self, host: str, now: float, change: Callable[[HostTurns], HostTurns]) -> HostTurns:
        try:
            return self._turns.update(host, now, change)
        except OutputError as error:
            raise FetchError(RejectionReason.UNREACHABLE, str(error)) from error

    def failed(self, host: str, started: float) -> None:
        """Note a request without a good answer.

        Args:
            host: host that was asked.
            started: time of the request, by the clock's `monotonic`.
        """
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1
            self._failing_since.setdefault(host, started)

    def answered(self, host: str) -> None:
        """Note a good answer. Earlier failures of the host no longer count."""
        with self._lock:
            self._failures.pop(host, None)
            self._failing_since.pop(host, None)


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Read the seconds to wait from `Retry-After`, a number or a date (RFC 9110, section 10.2.3).

    Returns:
        Seconds, from 0 to LONGEST_PAUSE; None without a valid header.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        digits = value.lstrip("0")
        return LONGEST_PAUSE if len(digits) > _DIGITS else min(float(digits or 0), LONGEST_PAUSE)
    if len(value) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(value)
        pause = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ArithmeticError, LookupError, TypeError, ValueError):  # odd dates, years and time zones
        return None
    return min(max(0.0, pause), LONGEST_PAUSE)
