"""The rate limit: every host has its own turn, and a host that asks for a pause gets the pause."""

from datetime import UTC, datetime

import httpx
import pytest
from clients import QuickClock

from roadclear.collect.rate_limit import RateLimit, retry_after
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
    ],
)
def test_the_pause_that_an_answer_asks_for(header: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": header}), NOW) == seconds


def test_most_answers_ask_for_no_pause() -> None:
    assert retry_after(httpx.Response(200), NOW) is None
