"""Work on many threads, with results in order and flat memory."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that may wait for the consumer, per thread. A slow photo delays nobody, and memory stays flat.
_LOOKAHEAD = 8

_present = threading.local()
_most_cores: int | None = None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return here if _most_cores is None else min(here, _most_cores)


def limit_cores(most: int) -> None:
    """Let this process use at most so many cores from now on, as one of several processes of a machine."""
    global _most_cores
    _most_cores = most


def worker_threads() -> int:
    """Return the number of threads that keeps all cores busy: one more than cores, since one often waits for a file."""
    return available_cores() + 1


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, lookahead: int = _LOOKAHEAD
) -> Generator[Result, None, None]:
    """Map a function over items on a pool of threads. Results come in the order of the items.

    Only a few items a thread are taken ahead of the consumer, so memory does not grow with the number of items. An
    exception in `function` is raised in place of its result, and items that have not begun are dropped. Closing the
    generator waits for items that have begun: close it, by `contextlib.closing`, before what `function` uses is closed.

    Args:
        function: function to call. Several threads call the function at once.
        items: arguments of the function, taken as they are needed.
        threads: number of threads, at least 1.
        lookahead: number of items a thread that are taken ahead, at least 1.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, "roadclear", initializer=_join_pool) as pool:
        try:
            for item in items:
                if len(waiting) >= lookahead * threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _join_pool() -> None:
    """Remember that the present thread is one of several that keep all cores busy."""
    _present.in_pool = True


class Pair:
    """Two threads that do pairs of short tasks: the caller's own thread, and a second one.

    The second thread waits for tasks, so a pair costs less than a call of `ordered_map`, which makes threads. The
    caller's thread does both tasks where there is no second core, on a thread of `ordered_map`, and outside a `with`
    block.

    Example:
        >>> with Pair() as pair:
        ...     pair.do(lambda: None, lambda: None)
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        self._second: threading.Thread | None = None

    def __enter__(self) -> Self:
        if available_cores() > 1 and not getattr(_present, "in_pool", False):
            self._second = threading.Thread(target=self._work, name="roadclear-pair", daemon=True)
            self._second.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._second is not None:
            self._tasks.put(None)
            self._second.join()
            self._second = None

    def do(self, first: Callable[[], object], second: Callable[[], object]) -> None:
        """Do two tasks, and return when both have ended. An exception in a task is raised after both have ended."""
        if self._second is None:
            first()
            second()
            return
        self._tasks.put(second)
        try:
            first()
        finally:
            error = self._ends.get()
        if error is not None:
            raise error

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException as error:
                self._ends.put(error)
            else:
                self._ends.put(None)


class _OneThread:
    """One limit of the process that several blocks on several threads share. The last one that ends lifts the limit."""

    def __init__(self) -> None:
        self._renew()
        self._blocks = 0
        self._limits: list[Any] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        """Make the lock anew: in a forked process nobody may be left who would open it."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        from threadpoolctl import ThreadpoolController

        with self._lock:
            libraries = ThreadpoolController()
            # Libraries may have been loaded since the first block began. Only they have a limit to be lifted.
            if any((library.num_threads or 1) > 1 for library in libraries.lib_controllers):
                _take_control(libraries)
                self._limits.append(libraries.limit(limits=1))
            self._blocks += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks and self._limits:
                from threadpoolctl import ThreadpoolController

                _take_control(ThreadpoolController())
                while self._limits:
                    self._limits.pop().restore_original_limits()


def _take_control(libraries: Any) -> None:
    """Let the present thread set the limit of OpenBLAS, which is one of the process.

    threadpoolctl 3.8 lets the first thread alone set this limit, for as long as that thread lives. Others do nothing,
    without an error. Here a lock already puts the threads in order.
    """
    for library in libraries.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


_one_thread = _OneThread()


def one_thread() -> AbstractContextManager[None]:
    """Limit linear algebra to one thread. With more threads, the rounding of sums depends on the number of threads.

    The limit holds for the whole process until every block has ended, whichever thread the block is on. Work on several
    threads must be inside one limit as a whole.
    """
    return _one_thread
