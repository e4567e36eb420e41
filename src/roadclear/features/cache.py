"""The feature cache: what was computed of a photo, by its content, in one SQLite file.

It is only a cache: deleting it loses time, never a result. Photos are known by the SHA-256 of their bytes, so data
sets share it, and a file that is moved, renamed or relabelled is still in it. Rows are written in transactions: a
kill loses at most the batch in flight.
"""

import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OutputError
from roadclear.utils.paths import CACHE_FOLDER_VARIABLE, checkpoint_path

Number = TypeVar("Number", bound=np.generic)

# Raised whenever the meaning of a row changes; a file of another format is emptied.
_FORMAT = 2
_SCHEMA = """
CREATE TABLE features (
    photo TEXT NOT NULL, kind TEXT NOT NULL, view TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (photo, kind, view)
)
"""
_ROWS_A_TRANSACTION = 512
_BYTES_A_TRANSACTION = 2**23


@dataclass(frozen=True)
class CacheInfo:
    """What the cache holds: its path, bytes on disk, number of different photos and of their features."""

    path: Path
    bytes: int
    photos: int
    features: int


class FeatureCache:
    """Features on disk. Safe to share between threads, and the file between processes.

    Args:
        path: of the SQLite file; made, with its folders, where missing.

    Raises:
        OutputError: the file cannot be opened or written, or is damaged (also from every method).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, str, str, bytes]] = []
        self._waiting_bytes = 0
        with self._as_output_error():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if not self._is_current():
                self._begin_anew()

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        """Whether the feature (photo, kind, view) is stored."""
        with self._as_output_error():
            found = self._db.execute("SELECT 1 FROM features WHERE photo = ? AND kind = ? AND view = ?", key).fetchone()
        return found is not None

    def put(self, photo: str, kind: str, view: str, value: NDArray[Any]) -> None:
        """Store a feature.

        It is on disk after the next `flush`, or when some hundred or some megabytes are waiting.

        Args:
            photo: SHA-256 of the photo's file, in hex.
            kind: what computed the feature, versions included.
            view: of which view of the photo.
            value: of any shape and of a type that belongs to the kind; `load` gives it flat.
        """
        with self._lock:
            self._waiting.append((photo, kind, view, value.tobytes()))
            self._waiting_bytes += value.nbytes
            many = len(self._waiting) >= _ROWS_A_TRANSACTION or self._waiting_bytes >= _BYTES_A_TRANSACTION
        if many:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        with self._as_output_error():
            if self._waiting:
                with self._transaction():
                    self._db.executemany("INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?)", self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0

    def load(self, photos: Sequence[str], kind: str, view: str, dtype: type[Number]) -> NDArray[Number]:
        """Stored features of photos, [n, d].

        Raises:
            KeyError: one of them is not stored.
        """
        return np.stack([np.frombuffer(self._load_one(photo, kind, view), dtype=dtype) for photo in photos])

    def info(self) -> CacheInfo:
        """Count what is stored."""
        with self._as_output_error():
            photos, features = self._db.execute("SELECT count(DISTINCT photo), count(*) FROM features").fetchone()
            return CacheInfo(self.path, sum(f.stat().st_size for f in self._files()), photos, features)

    def close(self) -> None:
        """Write what waits and close the file."""
        try:
            self.flush()
        finally:
            self._db.close()

    def _load_one(self, photo: str, kind: str, view: str) -> bytes:
        with self._as_output_error():
            row: tuple[bytes] | None = self._db.execute(
                "SELECT value FROM features WHERE photo = ? AND kind = ? AND view = ?", (photo, kind, view)
            ).fetchone()
        if row is None:
            raise KeyError((photo, kind, view))
        return row[0]

    def _files(self) -> Iterator[Path]:
        return (file for suffix in ("", "-wal", "-shm") if (file := Path(f"{self.path}{suffix}")).exists())

    def _is_current(self) -> bool:
        return bool(self._db.execute("PRAGMA user_version").fetchone() == (_FORMAT,))

    def _begin_anew(self) -> None:
        """Empty a file of another format, and give a new one its table."""
        with self._transaction():
            if self._is_current():  # another process was faster
                return
            for (table,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                self._db.execute(f'DROP TABLE "{table}"')
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

    @contextmanager
    def _as_output_error(self) -> Iterator[None]:
        """Hold the lock, and turn what SQLite or the file system raises into one line that helps."""
        try:
            with self._lock:
                yield
        except (sqlite3.DatabaseError, OSError) as error:
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            place = f"set {CACHE_FOLDER_VARIABLE} to a folder that has space and can be written"
            raise OutputError(
                f"the feature cache {str(self.path)!r} cannot be used "
                f"({error.strerror if isinstance(error, OSError) else error}): "
                f"{'run `roadclear cache clear`' if damaged else place}, or use --no-cache"
            ) from error


def clear_cache(path: Path) -> None:
    """Delete a cache file, damaged or not, and the checkpoints beside it.

    Raises:
        OutputError: it cannot be deleted.
    """
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]
    for file in [*files, *path.parent.glob(checkpoint_path(path, "*").name)]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"the cache file {str(file)!r} cannot be deleted: {error.strerror}") from error


@contextmanager
def open_cache(path: Path | None) -> Iterator[FeatureCache]:
    """A cache file, closed in the end; with None a file of this run alone, deleted in the end."""
    if path is not None:
        cache = FeatureCache(path)
        try:
            yield cache
        finally:
            cache.close()
        return
    with (
        tempfile.TemporaryDirectory(prefix="roadclear-") as folder,
        open_cache(Path(folder) / "run.sqlite") as cache,
    ):
        yield cache
