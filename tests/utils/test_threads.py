"""Results come in the order of the items, few items are taken ahead, and nothing is left running."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy  # noqa: F401, its library for linear algebra has threads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from roadclear.utils import threads as module
from roadclear.utils.threads import Pair, one_thread, ordered_map

AHEAD = 8
"""Items a thread that may be taken before they are asked for."""


@settings(max_examples=50, deadline=None)
@given(items=st.lists(st.integers()), threads=st.integers(1, 4))
def test_it_gives_what_map_gives(items: list[int], threads: int) -> None:
    assert list(ordered_map(lambda item: -item, items, threads)) == [-item for item in items]


def test_a_slow_first_item_still_comes_first() -> None:
    others_are_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert others_are_done.wait(30)
        elif item == 7:
            others_are_done.set()
        return item

    assert list(ordered_map(work, range(8), threads=2)) == list(range(8))


def test_as_many_items_as_threads_are_worked_on_at_once() -> None:
    all_here = threading.Barrier(3, timeout=30)
    assert len(list(ordered_map(lambda _: all_here.wait(), range(3), threads=3))) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_few_items_are_taken_ahead_of_the_consumer(threads: int) -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    results = ordered_map(lambda item: item, endless(), threads)
    for consumed in range(1, 50):
        next(results)
        assert len(taken) - consumed <= AHEAD * threads
    results.close()


class TestWhenTheFunctionRaises:
    def test_the_results_before_it_come_first(self) -> None:
        results = ordered_map(lambda item: 1 // (item - 3), range(9), threads=2)
        assert [next(results) for _ in range(3)] == [-1, -1, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)

    def test_items_not_yet_begun_are_dropped(self) -> None:
        """The item that is under way when the first one fails is the last."""
        called: list[int] = []
        later = threading.Event()
        threading.Timer(1, later.set).start()

        def work(item: int) -> None:
            called.append(item)
            if item == 0:
                raise ValueError(item)
            later.wait()

        with pytest.raises(ValueError, match=r"^0$"):
            list(ordered_map(work, range(1000), threads=1))
        assert len(called) <= 2


def test_an_exception_of_the_source_passes() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(ordered_map(lambda item: item, source(), threads=2))


@pytest.mark.parametrize("how", ["exhausted", "closed", "failed"])
def test_no_thread_is_left(how: str) -> None:
    before = set(threading.enumerate())
    results = ordered_map(lambda item: 1 // (2 - item), range(2 if how == "exhausted" else 100), threads=2)
    next(results)
    if how == "closed":
        results.close()
    else:
        try:
            list(results)
        except ZeroDivisionError:
            assert how == "failed"
    assert not [thread.name for thread in {*threading.enumerate()} - before if thread.name.startswith("roadclear")]


class TestPair:
    @pytest.fixture(autouse=True)
    def _two_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "available_cores", lambda: 2)

    def test_both_tasks_run_at_once_and_have_ended(self) -> None:
        here, there = threading.Barrier(2, timeout=30), threading.Barrier(2, timeout=30)
        done: list[str] = []

        def meet(name: str) -> None:
            here.wait()
            there.wait()
            done.append(name)

        with Pair() as pair:
            for number in range(1, 4):
                pair.do(lambda: meet("first"), lambda: meet("second"))
                assert sorted(done) == ["first"] * number + ["second"] * number

    @pytest.mark.parametrize("failing", [0, 1])
    def test_an_exception_is_raised_after_both_have_ended(self, failing: int) -> None:
        done: list[int] = []

        def work(number: int) -> None:
            done.append(number)
            if number == failing:
                raise LookupError(number)

        with Pair() as pair:
            with pytest.raises(LookupError, match=str(failing)):
                pair.do(lambda: work(0), lambda: work(1))
            assert sorted(done) == [0, 1]
            pair.do(lambda: work(2), lambda: work(3))
        assert sorted(done) == [0, 1, 2, 3]

    def test_a_thread_of_a_pool_does_both_tasks(self) -> None:
        def tasks(_: int) -> set[int]:
            seen: set[int] = set()
            with Pair() as pair:
                pair.do(lambda: seen.add(threading.get_ident()), lambda: seen.add(threading.get_ident()))
            return seen

        assert all(len(seen) == 1 for seen in ordered_map(tasks, range(4), threads=2))

    def test_the_second_thread_ends_with_the_block(self) -> None:
        with Pair() as pair:
            pair.do(lambda: None, lambda: None)
            assert "roadclear-pair" in {thread.name for thread in threading.enumerate()}
        assert "roadclear-pair" not in {thread.name for thread in threading.enumerate()}


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_block_that_ends_leaves_the_limit_to_the_others() -> None:
    before = blas_threads()
    entered, ended = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread():
            entered.set()
            ended.wait(60)

    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        entered.wait(60)
    assert blas_threads() == {1}, "the other thread is in its block"
    with one_thread(), one_thread():
        ended.set()
        thread.join()
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_the_limit_holds_on_every_thread_while_the_first_one_lives() -> None:
    """threadpoolctl lets the first thread alone limit OpenBLAS, and does nothing on others."""
    before = blas_threads()

    def limited() -> tuple[set[int], set[int]]:
        with one_thread():
            inside = blas_threads()
        return inside, blas_threads()

    with ThreadPoolExecutor(3) as pool:
        meeting = threading.Barrier(3)
        for thread in list(pool.map(lambda _: (meeting.wait(60), limited())[1], range(3))):
            assert thread[0] == {1}
        for _ in range(3):  # one after the other, on threads that all live
            assert pool.submit(limited).result() == ({1}, before)
    assert limited() == ({1}, before)
