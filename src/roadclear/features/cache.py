"""Feature cache: features of photos by content, in one SQLite file.

Deleting the cache loses time, never a result. The key of a photo is the SHA-256 of its bytes, so datasets share the
cache, and a moved, renamed or relabelled file keeps its features. Rows are written in transactions: a killed process
loses at most the current batch.
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

# Increased whenever the meaning of a row changes; a file of another format is emptied.
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
    """Content of the cache: path, bytes on disk, number of different photos, and number of features."""

    path: Path
    bytes: int
    photos: int
    features: int


class FeatureCache:
    """Features on disk. Threads may share an object, and processes may share the file.

    Args:
        path: path of the SQLite file. Missing folders and a missing file are created.

    Raises:
        OutputError: the file cannot be opened or written, or is damaged. Every method may raise the error as well.
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
                self._reset()

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        """Whether the feature (photo, kind, view) is stored."""
        with self._as_output_error():
            found = self._db.execute("SELECT 1 FROM features WHERE photo = ? AND kind = ? AND view = ?", key).fetchone()
        return found is not None

    def put(self, photo: str, kind: str, view: str, value: NDArray[Any]) -> None:
        """Store a feature.

        The feature reaches the disk with the next `flush`, or once 512 features or 8 MiB are waiting.

        Args:
            photo: SHA-256 of the photo's file, in hex.
            kind: name of the computation, with versions.
            view: name of the photo's view.
            value: array of any shape. `load` returns a flat array, and must be given the dtype.
        """
        with self._lock:
            self._waiting.append((photo, kind, view, value.tobytes()))
            self._waiting_bytes += value.nbytes
            many = len(self._waiting) >= _ROWS_A_TRANSACTION or self._waiting_bytes >= _BYTES_A_TRANSACTION
        if many:
            self.flush()

    def flush(self) -> None:
        """Write all waiting features, in one transaction."""
        with self._as_output_error():
            if self._waiting:
                with self._transaction():
                    self._db.executemany("INSERT OR IGNORE INTO features VALUES (?, ?, ?, ?)", self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0

    def load(self, photos: Sequence[str], kind: str, view: str, dtype: type[Number]) -> NDArray[Number]:
        """Load stored features of photos, [n, d].

        Args:
            photos: [n] SHA-256 of the photos' files, in hex.
            kind: name of the computation, with versions.
            view: name of the photos' view.
            dtype: dtype of the stored arrays.

        Raises:
            KeyError: a feature is not stored.
        """
        return np.stack([np.frombuffer(self._load_one(photo, kind, view), dtype=dtype) for photo in photos])

    def info(self) -> CacheInfo:
        """Count the stored photos, features and bytes."""
        with self._as_output_error():
            photos, features = self._db.execute("SELECT count(DISTINCT photo), count(*) FROM features").fetchone()
            return CacheInfo(self.path, sum(f.stat().st_size for f in self._files()), photos, features)

    def close(self) -> None:
        """Write all waiting features and close the file."""
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

    def _reset(self) -> None:
        """Empty a file of another format, and create the table of a new file."""
        with self._transaction():
            if self._is_current():  # another process has created the table meanwhile
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
        """Hold the lock, and turn errors of SQLite and the file system into an `OutputError` with advice."""
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
    """Delete a cache file, damaged or not, and the checkpoints in the same folder.

    Raises:
        OutputError: a file cannot be deleted.
    """
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]
    for file in [*files, *path.parent.glob(checkpoint_path(path, "*").name)]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"the cache file {str(file)!r} cannot be deleted: {error.strerror}") from error


@contextmanager
def open_cache(path: Path | None) -> Iterator[FeatureCache]:
    """Open a cache file, and close it at the end. With None, use a temporary file and delete it at the end."""
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
