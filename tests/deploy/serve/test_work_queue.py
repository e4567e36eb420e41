"""The queue: order, a bound, deadlines, and tasks that never begin too late."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from roadclear.deploy.serve.work_queue import DeadlineError, QueueFullError, WorkQueue


@pytest.fixture
def queue() -> Iterator[WorkQueue]:
    made = WorkQueue(threads=2, limit=3)
    yield made
    made.close()


def soon() -> float:
    return time.monotonic() + 30


def test_results_come_in_the_order_of_the_tasks(queue: WorkQueue) -> None:
    tasks = [lambda k=k: time.sleep(0.02 * (3 - k)) or k for k in range(4)]
    assert asyncio.run(queue.run(tasks, soon())) == [0, 1, 2, 3]
    assert queue.waiting == 0


def test_a_full_queue_refuses_all_tasks_of_a_request_and_says_when_to_come_again(queue: WorkQueue) -> None:
    go = threading.Event()

    async def fill() -> None:
        held = asyncio.create_task(queue.run([go.wait] * 4, soon()))
        await asyncio.sleep(0)
        assert queue.waiting == 2 and not queue.is_full
        with pytest.raises(QueueFullError) as refused:
            await queue.run([go.wait] * 2, soon())
        assert refused.value.retry_after >= 1
        more = asyncio.create_task(queue.run([go.wait], soon()))
        await asyncio.sleep(0)
        assert queue.is_full
        go.set()
        assert await held == [True] * 4 and await more == [True]

    asyncio.run(fill())
    assert queue.waiting == 0 and not queue.is_full


def test_nobody_waits_beyond_the_deadline_and_late_tasks_never_begin(queue: WorkQueue) -> None:
    go, begun = threading.Event(), []

    async def wait() -> None:
        held = asyncio.create_task(queue.run([go.wait] * 2, soon()))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineError):
            await queue.run([lambda: begun.append(1)], time.monotonic() + 0.05)
        assert queue.waiting == 0, "a task that nobody waits for leaves the queue"
        with pytest.raises(DeadlineError):
            await queue.run([lambda: begun.append(1)], time.monotonic() - 1)
        go.set()
        await held

    asyncio.run(wait())
    assert begun == []


def test_an_error_of_a_task_reaches_the_caller(queue: WorkQueue) -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(queue.run([lambda: 1 // 0, lambda: 1], soon()))
    assert asyncio.run(queue.run([lambda: 1], soon())) == [1]


def test_all_threads_are_used_at_once(queue: WorkQueue) -> None:
    seen = set()
    queue.do_on_all_threads(lambda: seen.add(threading.get_ident()))
    assert len(seen) == 2
