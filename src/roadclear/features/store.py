"""One SQLite file of features, each with a checksum.

What fails is raised as it is. `roadclear.features.cache` decides how the run goes on.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

Key = tuple[str, str, str]
"""Photo, kind and view of a feature."""

FILES = ("", "-journal", "-wal", "-shm")
"""What SQLite may append to the name of a file for the files beside the file."""

# Increased whenever the meaning of a row changes; a file of another format is emptied.
_FORMAT = 3
_SCHEMA = """
CREATE TABLE features (
    photo TEXT NOT NULL, kind TEXT NOT NULL, view TEXT NOT NULL, value BLOB NOT NULL, checksum BLOB NOT NULL,
    PRIMARY KEY (photo, kind, view)
)
"""
_FIND_MANY = """
SELECT CAST(photo AS BLOB), CAST(value AS BLOB), checksum FROM features
WHERE kind = ? AND view = ? AND photo IN (SELECT value FROM json_each(?))
"""
# The first value of a key stays, unless the value is damaged.
_INSERT = """
INSERT INTO features VALUES (?1, ?2, ?3, ?4, checksum_of(?1, ?2, ?3, ?4)) ON CONFLICT (photo, kind, view)
DO UPDATE SET value = excluded.value, checksum = excluded.checksum
WHERE checksum IS NOT checksum_of(photo, kind, view, CAST(value AS BLOB))
"""
_LOCKED_SECONDS = 5
_CHECKSUM_BYTES = 16


class FeatureStore:
    """Features in a file, or in memory. One thread at a time may call a store; processes may share the file.

    Args:
        path: path of the SQLite file, or None for memory. Missing folders and a missing file are created.

    Raises:
        sqlite3.Error, OSError: the file cannot be used. A file that is locked for 5 seconds counts as one. Every method
            but `close` and `was_removed` may raise the errors as well.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            path or ":memory:", timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # A damaged file may hold text where bytes are due, and text that is not UTF-8.
            self._db.text_factory = bytes
            self._db.create_function("checksum_of", 4, _checksum, deterministic=True)
            self._prepare()
            self._file = _identity(path)
        except BaseException:
            self.close()
            raise

    def find(self, key: Key) -> bytes | None:
        """Read a value; None if the value is not stored, or does not match its checksum."""
        query = "SELECT CAST(value AS BLOB), checksum FROM features WHERE photo = ? AND kind = ? AND view = ?"
        value, checksum = self._db.execute(query, key).fetchone() or (None, None)
        return value if value is not None and _checksum(*key, value) == checksum else None

    def find_many(self, photos: Sequence[str], kind: str, view: str) -> dict[str, bytes]:
        """Read values of one kind and view by their photos. A lost or damaged value is left out."""
        found = self._db.execute(_FIND_MANY, (kind, view, json.dumps(list(photos))))
        # The name of a photo in a damaged file may be no UTF-8, or missing.
        rows = ((bytes(photo or b"").decode(errors="replace"), value, checksum) for photo, value, checksum in found)
        return {
            photo: value
            for photo, value, checksum in rows
            if value is not None and _checksum(photo, kind, view, value) == checksum
        }

    def insert(self, rows: Iterable[tuple[Key, bytes]]) -> None:
        """Write values, all or none."""
        with self._transaction():
            self._db.executemany(_INSERT, ((*key, value) for key, value in rows))

    def count(self) -> tuple[int, int]:
        """Count different photos, and features."""
        photos, features = self._db.execute("SELECT count(DISTINCT photo), count(*) FROM features").fetchone()
        return photos, features

    def was_removed(self) -> bool:
        """Whether the file has been deleted or replaced since it was opened."""
        return self._path is not None and _identity(self._path) != self._file

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _prepare(self) -> None:
        current = self._is_current()
        # A journal needs no memory that processes share, which a write-ahead log does: cutting such a file short would
        # kill the process. Files of earlier versions have a log, and keep the log while an earlier version is at work.
        with suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -16384")  # KiB; a larger transaction would lock readers out early
        if not current:
            self._reset()

    def _is_current(self) -> bool:
        return bool(self._db.execute("PRAGMA user_version").fetchone() == (_FORMAT,))

    def _reset(self) -> None:
        """Empty a file of another format, and create the table of a new file."""
        with self._transaction():
            if self._is_current():  # another process has created the table meanwhile
                return
            for (table,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                self._db.execute(f'DROP TABLE "{table.decode(errors="replace")}"')
            self._db.execute(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _checksum(photo: str, kind: str, view: str, value: bytes | None) -> bytes | None:
    """Checksum of a value in its place: a value that lies under another key is as wrong as a damaged one."""
    if value is None:
        return None
    digest = blake2b(f"{photo}\0{kind}\0{view}\0".encode(), digest_size=_CHECKSUM_BYTES)
    digest.update(value)
    return digest.digest()


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Device and number of a file; None if there is no file."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status is not None else None
