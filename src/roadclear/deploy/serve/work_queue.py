"""Bounded queue of work: some threads, a largest number of waiting tasks, and a deadline for each."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_WEIGHT = 0.05
"""Weight of the newest task in the mean duration."""


class QueueFullError(Exception):
    """Too many tasks wait.

    Attributes:
        retry_after: whole seconds after which there is probably room, at least 1.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("the queue is full")
        self.retry_after = retry_after


class DeadlineError(Exception):
    """The deadline passed before all tasks were done."""


class WorkQueue:
    """Threads that do tasks in the order in which they came.

    A task holds a thread until its end. A task that has not begun at its deadline never begins.

    Args:
        threads: number of threads.
        limit: largest number of tasks that wait for a thread.
    """

    def __init__(self, threads: int, limit: int) -> None:
        self.threads, self.limit = threads, limit
        self._pool = ThreadPoolExecutor(threads, "roadclear-serve")
        self._lock = threading.Lock()
        self._unfinished = 0
        self._seconds = 0.0

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for a thread."""
        return max(self._unfinished - self.threads, 0)

    @property
    def is_full(self) -> bool:
        """Whether one more task would be refused."""
        return self._unfinished >= self.limit + self.threads

    async def run(self, tasks: Sequence[Callable[[], Result]], deadline: float) -> list[Result]:
        """Do tasks, and return their results in their order.

        Args:
            tasks: functions to call. All of them are taken, or none.
            deadline: moment of `time.monotonic` at which nobody waits any more.

        Raises:
            QueueFullError: the tasks would wait beside too many others.
            DeadlineError: the deadline passed.
        """
        futures = self._submit(tasks, deadline)
        waiting = [asyncio.wrap_future(future) for future in futures]
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                return list(await asyncio.gather(*waiting))
        except TimeoutError:
            raise DeadlineError from None
        finally:
            for future in futures:
                future.cancel()

    def do_on_all_threads(self, task: Callable[[], object]) -> None:
        """Call a function once on each thread, at the same time, and wait for all of them."""
        meeting = threading.Barrier(self.threads)

        def do(_: int) -> None:
            meeting.wait()
            task()

        list(self._pool.map(do, range(self.threads)))

    def close(self) -> None:
        """Wait for the tasks that have begun, and end the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, tasks: Sequence[Callable[[], Result]], deadline: float) -> list[Future[Result]]:
        with self._lock:
            if self._unfinished + len(tasks) > self.limit + self.threads:
                raise QueueFullError(self._retry_after())
            self._unfinished += len(tasks)
        futures = [self._pool.submit(self._do, task, deadline) for task in tasks]
        for future in futures:
            future.add_done_callback(self._count)
        return futures

    def _do(self, task: Callable[[], Result], deadline: float) -> Result:
        started = time.monotonic()
        if started >= deadline:
            raise DeadlineError
        try:
            return task()
        finally:
            self._seconds += _WEIGHT * (time.monotonic() - started - self._seconds)

    def _count(self, _: Future[Result]) -> None:
        with self._lock:
            self._unfinished -= 1

    def _retry_after(self) -> int:
        return max(1, math.ceil(self._seconds * self._unfinished / self.threads))
