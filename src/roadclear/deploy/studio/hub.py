"""News for the open pages: threads of the studio publish, and every page reads the stream of events."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

_PULSE_S = 15.0
_WAITING = 1000
"""Events that wait for a page. A page that does not read them is cut off, and asks for everything again."""


class Hub:
    """Place where events are published and read. Threads may share an object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop] = {}
        self._last: dict[str, str] = {}
        self._closed = False

    def publish(self, kind: str, **values: Any) -> None:
        """Send an event to all pages. A page that opens later gets the last event of each kind."""
        text = f"event: {kind}\ndata: {json.dumps(values)}\n\n"
        with self._lock:
            self._last[kind] = text
            for queue, loop in list(self._readers.items()):
                self._send(queue, loop, text)

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            self._closed = True
            for queue, loop in self._readers.items():
                self._send(queue, loop, None)

    async def events(self) -> AsyncIterator[str]:
        """Yield the last event of each kind, and then every event, as server-sent events."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        with self._lock:
            waiting = [] if self._closed else list(self._last.values())
            self._readers[queue] = asyncio.get_running_loop()
        try:
            for text in waiting:
                yield text
            while not self._closed:
                try:
                    new = await asyncio.wait_for(queue.get(), _PULSE_S)
                except TimeoutError:
                    new = ": pulse\n\n"
                if new is None:
                    return
                yield new
        finally:
            with self._lock:
                self._readers.pop(queue, None)

    def _send(self, queue: "asyncio.Queue[str | None]", loop: asyncio.AbstractEventLoop, text: str | None) -> None:
        def put() -> None:
            if queue.full():
                queue.get_nowait()
                text_or_end = None
            else:
                text_or_end = text
            queue.put_nowait(text_or_end)

        if not loop.is_closed():
            loop.call_soon_threadsafe(put)
