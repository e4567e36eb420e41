"""Work on many threads, with results in order and flat memory."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that may wait for the consumer, per thread. A slow photo delays nobody, and memory stays flat.
_LOOKAHEAD = 8


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    with ThreadPoolExecutor(threads, thread_name_prefix="roadclear") as pool:
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


def one_thread() -> AbstractContextManager[object]:
    """Limit linear algebra to one thread. With more threads, the rounding of sums depends on the number of threads.

    The limit holds for the whole process. Work on several threads must be inside one limit as a whole.
    """
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1))
