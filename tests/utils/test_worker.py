"""A worker answers, and is ended when it takes too much time or memory, or crashes."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roadclear.utils.worker import WorkerError, WorkerPool


@pytest.fixture
def workers() -> Iterator[WorkerPool]:
    pool = WorkerPool("worker_handlers:answer", seconds=1, memory_bytes=1_000_000_000, answer_bytes=1_000_000)
    yield pool
    pool.close()


def test_requests_are_answered_by_the_same_process(workers: WorkerPool) -> None:
    first, data = workers.call({"work": "answer"}, b"abc")
    second, _ = workers.call({"work": "answer"}, b"")
    assert data == b"cba"
    assert first["process"] == second["process"] != os.getpid()
    assert second["requests"] == 2


def test_large_requests_go_through(workers: WorkerPool) -> None:
    assert workers.call({"work": "answer"}, bytes(900_000))[1] == bytes(900_000)


@pytest.mark.slow
def test_a_loop_is_ended_in_time_and_costs_the_caller_nothing(workers: WorkerPool) -> None:
    workers.call({"work": "answer"}, b"")
    started, used = time.monotonic(), time.process_time()
    with pytest.raises(WorkerError) as error:
        workers.call({"work": "loop"}, b"")
    assert error.value.late
    assert time.monotonic() - started < 4
    assert time.process_time() - used < 0.5
    assert workers.call({"work": "answer"}, b"")[0]["requests"] == 1


@pytest.mark.slow
def test_loops_beside_each_other_are_ended_and_answers_between_them_come(workers: WorkerPool) -> None:
    def ask(number: int) -> bool:
        """Whether the request was late."""
        try:
            workers.call({"work": "loop" if number % 2 else "answer"}, b"")
        except WorkerError as error:
            return error.late
        return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(6))) == [False, True] * 3


def test_requests_share_one_thread_that_watches_them(workers: WorkerPool) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        workers.call({"work": "answer"}, b"")
    assert [thread.name for thread in set(threading.enumerate()) - before] == ["roadclear-watchdog"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.slow
def test_a_forked_process_ends_its_own_loops(workers: WorkerPool) -> None:
    workers.call({"work": "answer"}, b"")
    child = os.fork()
    if child == 0:
        try:
            workers.call({"work": "loop"}, b"")
        except WorkerError as error:
            os._exit(0 if error.late else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals, and limits of the system")
@pytest.mark.parametrize("work", ["crash", pytest.param("fill", marks=pytest.mark.skipif("sys.platform != 'linux'"))])
def test_a_crash_or_a_full_memory_ends_the_worker_alone(workers: WorkerPool, work: str) -> None:
    with pytest.raises(WorkerError) as error:
        workers.call({"work": work}, b"")
    assert not error.value.late
    assert workers.call({"work": "answer"}, b"x")[1] == b"x"


def test_a_request_is_not_blamed_for_the_one_before(workers: WorkerPool) -> None:
    workers.call({"work": "answer"}, b"")
    assert workers.call({"work": "crash the second time"}, b"")[0]["requests"] == 1


def test_answers_that_are_too_large_are_not_read(workers: WorkerPool) -> None:
    with pytest.raises(WorkerError):
        workers.call({"work": "answer too much"}, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_worker_writes_no_file(workers: WorkerPool, tmp_path: Path) -> None:
    with pytest.raises(WorkerError):
        workers.call({"work": "write a file", "path": str(tmp_path / "planted")}, b"")
    assert not (tmp_path / "planted").exists() or (tmp_path / "planted").stat().st_size == 0


def test_threads_get_their_own_answers(workers: WorkerPool) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda n: workers.call({"work": "answer"}, b"%d" % n)[1], range(10, 40)))
    assert answers == [str(n)[::-1].encode() for n in range(10, 40)]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_a_worker_ends_with_its_caller(workers: WorkerPool) -> None:
    process = workers.call({"work": "answer"}, b"")[0]["process"]
    workers.close()
    assert not Path(f"/proc/{process}").exists()
