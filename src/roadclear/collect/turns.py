"""When a host may be asked next: in this process alone, or for all processes of the user on this machine.

Times are seconds of the system's monotonic clock, which all processes of a machine share.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roadclear.errors import OutputError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (host TEXT PRIMARY KEY, next REAL, paused_until REAL, written REAL) WITHOUT ROWID
"""
_LOCKED_SECONDS = 60


@dataclass(frozen=True)
class HostTurns:
    """When a host may be asked.

    Attributes:
        next: earliest time of the next request.
        paused_until: end of the pause that the host asked for.
    """

    next: float = 0.0
    paused_until: float = 0.0


Change = Callable[[HostTurns], HostTurns]
"""Function from the turns of a host to what they become."""


class Turns(Protocol):
    """Turns of all hosts. Several threads may call at once."""

    def update(self, host: str, now: float, change: Change) -> HostTurns:
        """Change the turns of a host in one step, and return what they were.

        Args:
            host: name of the host, with its port where the port is not the usual one.
            now: time of the clock.
            change: what the turns become.

        Raises:
            OutputError: the turns cannot be written.
        """
        ...

    def close(self) -> None:
        """Close the file of the turns, if there is one."""
        ...


class OwnTurns:
    """Turns for the threads of this process."""

    def __init__(self) -> None:
        self._hosts: dict[str, HostTurns] = {}
        self._lock = threading.Lock()

    def update(self, host: str, now: float, change: Change) -> HostTurns:
        """Change the turns of a host; see `Turns`."""
        with self._lock:
            before = self._hosts.get(host, HostTurns())
            self._hosts[host] = change(before)
        return before

    def close(self) -> None:
        """Do nothing."""


class SharedTurns:
    """Turns for all processes that use one file: a table of hosts in SQLite, whose locks end with their process.

    A kill loses no turn that was taken. A file of before the machine's last start is noticed, and begun anew.

    Args:
        path: the file. Missing folders and a missing file are made.
        now: time of the clock.

    Raises:
        OutputError: the file cannot be used.
    """

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            with self._transaction():
                self._db.execute(_SCHEMA)
                # Another process may write a moment after our look at the clock.
                later = now + _LOCKED_SECONDS
                self._db.execute("DELETE FROM turns WHERE written > ? OR max(next, paused_until) < ?", (later, now))
        except OutputError:
            self._db.close()
            raise

    def update(self, host: str, now: float, change: Change) -> HostTurns:
        """Change the turns of a host; see `Turns`."""
        with self._transaction():
            query = "SELECT next, paused_until FROM turns WHERE host = ?"
            before = HostTurns(*(self._db.execute(query, (host,)).fetchone() or ()))
            after = change(before)
            row = (host, after.next, after.paused_until, now)
            self._db.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?)", row)
        return before

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the file alone. Nothing is synced: a machine that stops needs no turns."""
        with self._lock:
            try:
                self._db.execute("PRAGMA synchronous = OFF")
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"cannot keep the turns of hosts in {str(self._path)!r} ({error}): delete the file, or set "
            "ROADCLEAR_CACHE_DIR to a folder that can be written"
        )
