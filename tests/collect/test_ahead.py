"""Iterators that work ahead: one item, in order, several at once."""

import threading
from collections.abc import Iterator

import pytest

from roadclear.collect.ahead import Ahead
from roadclear.errors import ProviderError


def counted(taken: list[int], end: int = 100) -> Iterator[int]:
    for number in range(end):
        taken.append(number)
        yield number


def test_items_come_in_order_and_one_ahead() -> None:
    taken: list[int] = []
    ahead = Ahead(counted(taken))
    assert taken == []
    assert [next(ahead) for _ in range(5)] == list(range(5))
    ahead.close()
    assert len(taken) <= 6
    assert list(ahead) == []


def test_the_end_is_the_end() -> None:
    ahead = Ahead(iter([1, 2]))
    assert list(ahead) == [1, 2]
    assert list(ahead) == []


def test_an_error_stands_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ProviderError("it broke")

    ahead = Ahead(failing())
    ahead.start()
    assert next(ahead) == 1
    with pytest.raises(ProviderError, match="it broke"):
        next(ahead)
    assert list(ahead) == []


def test_those_that_are_started_wait_at_once() -> None:
    """Each goes on when all have begun."""
    barrier = threading.Barrier(3)

    def waiting(number: int) -> Iterator[int]:
        barrier.wait(timeout=30)
        yield number

    searches = [Ahead(waiting(number)) for number in range(3)]
    for search in searches:
        search.start()
    assert [next(search) for search in searches] == [0, 1, 2]
