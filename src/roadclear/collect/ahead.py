"""Iterators that work one item ahead, each in a thread of its own, so that many searches wait for hosts at once."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """Iterator over the items of another iterator, of which the next is fetched while the last is used.

    The thread begins with `start` or with the first item. Errors of the other iterator are raised in their place.

    Args:
        items: the other iterator. Only the thread uses the iterator from now on.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._wanted = threading.Semaphore(1)
        self._found: SimpleQueue[Item | _End] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_over = False

    def __iter__(self) -> "Ahead[Item]":
        return self

    def __next__(self) -> Item:
        if self._is_over:
            raise StopIteration
        self.start()
        found = self._found.get()
        if isinstance(found, _End):
            self._is_over = True
            raise found.error
        self._wanted.release()
        return found

    def start(self) -> None:
        """Begin to fetch the first item."""
        if self._thread is None:
            # A daemon: whoever has enough need not wait for a slow host.
            self._thread = threading.Thread(target=self._work, name="collect-search", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Fetch no further item. An item that is being fetched is not waited for."""
        self._is_over = True
        self._wanted.release()

    def _work(self) -> None:
        while True:
            self._wanted.acquire()
            if self._is_over:
                return
            try:
                item = next(self._items)
            except BaseException as error:  # also the end, which is an exception
                self._found.put(_End(error))
                return
            self._found.put(item)


class _End:
    """The end of an iterator, by an error or by StopIteration."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
