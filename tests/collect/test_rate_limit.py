"""The rate limit: every host has its own turn, and a host that asks for a pause gets the pause."""

from datetime import UTC, datetime

import httpx
import pytest
from clients import QuickClock
from hypothesis import given
from hypothesis.strategies import text

from roadclear.collect.rate_limit import LONGEST_PAUSE, MAX_FAILURES, RateLimit, retry_after
from roadclear.collect.rejections import FetchError, RejectionReason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_host_is_asked_at_the_set_rate_and_others_need_not_wait() -> None:
    clock = QuickClock()
    rate_limit = RateLimit(max_rate=4.0, max_wait=120.0, clock=clock)
    for _ in range(5):
        rate_limit.wait("a.example")
    rate_limit.wait("b.example")
    assert clock.sleeps == pytest.approx([0.25] * 4)


def test_a_pause_that_a_host_asks_for_is_kept() -> None:
    clock = QuickClock()
    rate_limit = RateLimit(max_rate=4.0, max_wait=120.0, clock=clock)
    rate_limit.pause("a.example", 100.0)
    rate_limit.pause("a.example", 10.0)
    rate_limit.wait("a.example")
    assert clock.sleeps == pytest.approx([100.0])


def test_a_pause_beyond_all_patience_is_an_error() -> None:
    rate_limit = RateLimit(max_rate=4.0, max_wait=120.0, clock=QuickClock())
    rate_limit.pause("a.example", 3600.0)
    with pytest.raises(FetchError, match="asks for a pause of 3,600 seconds") as caught:
        rate_limit.wait("a.example")
    assert caught.value.reason == RejectionReason.UNREACHABLE
    rate_limit.wait("b.example")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60.0),
        ("Fri, 02 Jan 2026 02:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("0000000000000000060", 60.0),
        ("9" * 5_000, LONGEST_PAUSE),
        ("9" * 9, LONGEST_PAUSE),
        ("1e999", None),
        ("inf", None),
        ("٣", None),
        ("²", None),
        ("Fri, 02 Jan 9999 03:05:05 GMT", LONGEST_PAUSE),
        ("Fri, 02 Jan 9999 23:59:59 -2359", LONGEST_PAUSE),
        ("Fri, 02 Jan 2026 03:05:05 +" + "9" * 12, None),
        ("Fri, 02 Jan 2026 03:05:05 +" + "9" * 30, None),
        ("Fri, 02 Jan " + "9" * 5_000 + " 03:05:05 GMT", None),
        ("Fri, 02 Jan 2026 03:05:05 " + "x" * 5_000, None),
    ],
)
def test_the_pause_that_an_answer_asks_for(header: str, seconds: float | None) -> None:
    response = httpx.Response(429, headers=[(b"Retry-After", header.encode())])
    assert retry_after(response, NOW) == seconds


@given(text(alphabet="0123456789+-:, GMTFrianJ", max_size=40))
def test_no_pause_is_out_of_range(header: str) -> None:
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": header}), NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE


def test_a_host_that_only_fails_is_given_up() -> None:
    clock = QuickClock()
    rate_limit = RateLimit(max_rate=1e9, max_wait=120.0, clock=clock, max_silence=100.0)
    for _ in range(MAX_FAILURES):
        rate_limit.wait("a.example")
        rate_limit.failed("a.example", clock.monotonic())
        clock.sleep(40.0)
    with pytest.raises(FetchError, match="gave no good answer for 160 seconds") as caught:
        rate_limit.wait("a.example")
    assert caught.value.reason.is_passing
    rate_limit.wait("b.example")


def test_a_good_answer_makes_up_for_failures_before() -> None:
    clock = QuickClock()
    rate_limit = RateLimit(max_rate=1e9, max_wait=120.0, clock=clock, max_silence=100.0)
    for number in range(20):
        rate_limit.wait("a.example")
        rate_limit.failed("a.example", clock.monotonic())
        clock.sleep(40.0)
        if number % 3 == 2:
            rate_limit.answered("a.example")


def test_few_failures_or_a_short_time_are_no_reason_to_give_up() -> None:
    clock = QuickClock()
    rate_limit = RateLimit(max_rate=1e9, max_wait=120.0, clock=clock, max_silence=100.0)
    for _ in range(50):
        rate_limit.failed("short.example", clock.monotonic())
    rate_limit.failed("few.example", clock.monotonic())
    rate_limit.wait("short.example")
    clock.sleep(1_000.0)
    rate_limit.wait("few.example")


def test_most_answers_ask_for_no_pause() -> None:
    assert retry_after(httpx.Response(200), NOW) is None
