"""The feature cache: embeddings by photo content, backbone and view, in one SQLite file.

It is only a cache: deleting it loses time, never a result. Photos are known by the SHA-256 of their bytes, so data
sets share it, and a file that is moved, renamed or relabelled is still in it. Rows are written in transactions: a
kill loses at most the batch in flight.
"""

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import OutputError

# Raised whenever the meaning of a row changes; a file of another format is emptied.
_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS embeddings (
    photo TEXT NOT NULL, backbone TEXT NOT NULL, view TEXT NOT NULL, embedding BLOB NOT NULL,
    PRIMARY KEY (photo, backbone, view)
);
"""
_ROWS_A_TRANSACTION = 512


@dataclass(frozen=True)
class CacheInfo:
    """What the cache holds: its path, bytes on disk, number of different photos and of embeddings."""

    path: Path
    bytes: int
    photos: int
    embeddings: int


class FeatureCache:
    """Embeddings on disk. Safe to share between threads, and the file between processes.

    Args:
        path: of the SQLite file; made, with its folders, where missing.

    Raises:
        OutputError: the file cannot be opened or written, or is damaged (also from every method).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, str, str, bytes]] = []
        with self._told_plainly():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if self._db.execute("PRAGMA user_version").fetchone()[0] not in (0, _FORMAT):
                self._db.execute("DROP TABLE IF EXISTS embeddings")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        """Whether the embedding of (photo, backbone, view) is stored or about to be."""
        with self._told_plainly():
            found = self._db.execute(
                "SELECT 1 FROM embeddings WHERE photo = ? AND backbone = ? AND view = ?", key
            ).fetchone()
        return found is not None

    def put(self, photo: str, backbone: str, view: str, embedding: NDArray[np.float32]) -> None:
        """Store an embedding, float32 [d]; it is on disk after the next `flush`, or some hundred later."""
        self._waiting.append((photo, backbone, view, embedding.tobytes()))
        if len(self._waiting) >= _ROWS_A_TRANSACTION:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        with self._told_plainly():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?, ?, ?)", self._waiting)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self._waiting.clear()

    def load(self, photos: Sequence[str], backbone: str, view: str) -> NDArray[np.float32]:
        """Embeddings of photos that are stored, float32 [n, d].

        Raises:
            KeyError: one of them is not.
        """
        return np.stack([self._load_one(photo, backbone, view) for photo in photos])

    def info(self) -> CacheInfo:
        """Count what is stored."""
        with self._told_plainly():
            photos, embeddings = self._db.execute("SELECT count(DISTINCT photo), count(*) FROM embeddings").fetchone()
            return CacheInfo(self.path, sum(f.stat().st_size for f in self._files()), photos, embeddings)

    def close(self) -> None:
        """Write what waits and close the file."""
        try:
            self.flush()
        finally:
            self._db.close()

    def _load_one(self, photo: str, backbone: str, view: str) -> NDArray[np.float32]:
        with self._told_plainly():
            row = self._db.execute(
                "SELECT embedding FROM embeddings WHERE photo = ? AND backbone = ? AND view = ?",
                (photo, backbone, view),
            ).fetchone()
        if row is None:
            raise KeyError((photo, backbone, view))
        return np.frombuffer(row[0], dtype=np.float32)

    def _files(self) -> Iterator[Path]:
        return (file for suffix in ("", "-wal", "-shm") if (file := Path(f"{self.path}{suffix}")).exists())

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        """Hold the lock, and turn what SQLite or the file system raises into one line that helps."""
        try:
            with self._lock:
                yield
        except sqlite3.DatabaseError as error:
            advice = "run `roadclear cache clear`, or use --no-cache"
            if "full" in str(error):
                advice = f"free space there, or set {CACHE_FOLDER_VARIABLE} to a folder with space"
            raise OutputError(f"the feature cache {str(self.path)!r} cannot be used ({error}): {advice}") from error
        except OSError as error:
            raise OutputError(
                f"the feature cache {str(self.path)!r} cannot be used ({error.strerror}): "
                f"set {CACHE_FOLDER_VARIABLE} to a folder that can be written, or use --no-cache"
            ) from error


CACHE_FOLDER_VARIABLE = "ROADCLEAR_CACHE_DIR"


def default_cache_path() -> Path:
    """The user's cache file; its folder is `ROADCLEAR_CACHE_DIR`, or the operating system's for caches."""
    import platformdirs

    folder = os.environ.get(CACHE_FOLDER_VARIABLE) or platformdirs.user_cache_dir("roadclear", appauthor=False)
    return Path(folder) / "features.sqlite"


def clear_cache(path: Path) -> None:
    """Delete a cache file, damaged or not.

    Raises:
        OutputError: it cannot be deleted.
    """
    for suffix in ("", "-wal", "-shm"):
        try:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"the cache file {str(path)!r} cannot be deleted: {error.strerror}") from error


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
