"""Connections of the server: a largest number, and a time within which the head of a request must be there.

uvicorn refuses requests beyond its limit of concurrency. A connection that never sends a whole head is no request for
uvicorn, and would hold an open file for ever.
"""

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 1000
"""Largest number of connections whose requests are answered. More get the status 503."""

BURST = 64
"""Largest number of connections that are accepted in one step of the event loop."""

_HEAD_S = 30.0
_TOLD = 100
"""Number of further connections that are told the status 503. Others are closed."""

_STEPS = 4
"""Steps of the event loop from the acceptance of a connection to its end, where there are too many."""

_OTHER_FILES = 68


def connection_limit(most: int = MOST_CONNECTIONS) -> int:
    """Largest number of connections whose requests are answered.

    Args:
        most: largest number where the system allows enough open files.
    """
    if sys.platform == "win32":
        return most
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    return min(most, max(files - _TOLD - _STEPS * BURST - _OTHER_FILES, files // 4))


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 connection that is closed where there are too many, or where the head of a request does not come."""

    _head_seconds = _HEAD_S
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > (self.limit_concurrency or MOST_CONNECTIONS) + _TOLD:
            transport.abort()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read what came, and wait for the rest of a head that is not whole."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._head_is_there()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_is_there()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._timer is None:
            transport: Any = self.transport
            self._timer = self.loop.call_later(self._head_seconds, transport.abort)

    def _head_is_there(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
