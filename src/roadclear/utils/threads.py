"""Work spread over threads, in order, with a bounded number of results waiting."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that may wait for the consumer, per thread: enough to ride out a slow photo, and flat in memory.
_LOOKAHEAD = 8


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_threads() -> int:
    """Threads that keep all cores busy: one more than there are, since one often waits for a file or for Python."""
    return available_cores() + 1


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Like `map`, on a pool of threads: results come in the order of the items.

    At most 8 items a thread are taken ahead of the consumer, so memory stays flat however many there are. An
    exception in `function` is raised where its result would have come; the items not yet begun are dropped.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="roadclear") as pool:
        try:
            for item in items:
                if len(waiting) >= _LOOKAHEAD * threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread: with more, sums are rounded in an order that depends on their number.

    The limit is the process's: work on several threads has to be inside one such limit as a whole.
    """
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1))
