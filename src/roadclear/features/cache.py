"""Feature cache: features of photos by content, in one SQLite file.

Deleting the cache loses time, never a result. The key of a photo is the SHA-256 of its bytes, so datasets share the
cache, and a moved, renamed or relabelled file keeps its features. Rows are written in transactions: a killed process
loses at most the current batch. A value that does not match its checksum counts as not stored.

A run never fails because of its cache. If the file cannot be used, a `CacheWarning` says so once, and the run goes on
with a temporary file. If a temporary file cannot be used either, the run goes on in memory.
"""

import os
import shutil
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import CacheWarning, OutputError, PhotoError
from roadclear.features.store import FILES, FeatureStore, Key
from roadclear.utils.kept import kept_files
from roadclear.utils.paths import CACHE_FOLDER_VARIABLE, checkpoint_path, cluster_checkpoints_path
from roadclear.utils.rows import Rows, new_rows
from roadclear.utils.text import printable

Number = TypeVar("Number", bound=np.generic)
Result = TypeVar("Result")

_ROWS_A_TRANSACTION = 512
_BYTES_A_TRANSACTION = 2**23
_ROWS_A_QUERY = 256
# A file that was deleted is made anew so often. A file that is deleted yet again counts as one that cannot be used.
_REMOVALS = 3
# The last is raised where SQLite quotes a damaged file in its message.
_FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)


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
        path: path of the SQLite file, or None for a temporary file that is deleted at the end. Missing folders and a
            missing file are created.

    Attributes:
        path: path of the SQLite file, even if the run goes on without it.

    Warns:
        CacheWarning: the file cannot be used, and the run goes on without it. Every method may warn, but only the first
            failure is a warning.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Key, bytes]] = []
        self._waiting_bytes = 0
        self._store: FeatureStore | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._removals = 0
        self._closed = False
        self._place: Path | None = path
        if path is None:
            self._make_temporary_place()
        # A path that nothing can be written to, if there is no temporary folder.
        self.path = self._place or Path(os.devnull, "features.sqlite")
        self._use(lambda store: None)

    def known(self, path: Path) -> str | PhotoError | None:
        """Say what is known of a photo's file without reading the file: its SHA-256, or why the photo is unusable.

        This cache knows contents only, and returns None: the file must be read.
        """
        return None

    def __contains__(self, key: Key) -> bool:
        """Whether the feature (photo, kind, view) is stored, and undamaged."""
        return self._use(lambda store: store.find(key)) is not None

    def put(self, photo: str, kind: str, view: str, value: NDArray[Any]) -> None:
        """Store a feature.

        The feature reaches the disk with the next `flush`, or once 512 features or 8 MiB are waiting.

        Args:
            photo: SHA-256 of the photo's file, in hex.
            kind: name of the computation, with versions.
            view: name of the photo's view.
            value: array of any shape. `find` and `load` return flat arrays, and must be given the dtype.
        """
        with self._lock:
            self._waiting.append(((photo, kind, view), value.tobytes()))
            self._waiting_bytes += value.nbytes
            many = len(self._waiting) >= _ROWS_A_TRANSACTION or self._waiting_bytes >= _BYTES_A_TRANSACTION
        if many:
            self.flush()

    def flush(self) -> None:
        """Write all waiting features, in one transaction."""
        self._use(self._write)

    def find(self, photo: str, kind: str, view: str, dtype: type[Number]) -> NDArray[Number] | None:
        """Load a feature, [d]; None if the feature is not stored, or damaged.

        Args:
            photo: SHA-256 of the photo's file, in hex.
            kind: name of the computation, with versions.
            view: name of the photo's view.
            dtype: dtype of the stored array.
        """
        value = self._use(lambda store: store.find((photo, kind, view)))
        return np.frombuffer(value, dtype=dtype) if value is not None else None

    def load(
        self,
        photos: Sequence[str],
        kind: str,
        view: str,
        dtype: type[Number],
        restore: Callable[[str], NDArray[Number]] | None = None,
    ) -> NDArray[Number]:
        """Load features of photos, [n, d]. Beside the result, at most 256 features are held at a time.

        Args:
            photos: [n] SHA-256 of the photos' files, in hex.
            kind: name of the computation, with versions.
            view: name of the photos' view.
            dtype: dtype of the stored arrays.
            restore: function that computes the feature [d] of a photo again, if the feature is not stored, or damaged.

        Raises:
            KeyError: a feature is not stored, or damaged, and there is no `restore`.
        """
        found: NDArray[Number] = self._load(photos, kind, view, dtype, restore, partial(np.empty, dtype=dtype))
        return found

    def load_rows(
        self, photos: Sequence[str], kind: str, view: str, restore: Callable[[str], NDArray[np.float32]] | None = None
    ) -> Rows:
        """Load float32 features of photos, [n, d], into memory, or into a file where there are many photos.

        The arguments are those of `load`.

        Raises:
            KeyError: see `load`.
            OutputError: there is no room for the file.
        """
        found: Rows = self._load(photos, kind, view, np.float32, restore, new_rows)
        return found

    def _load(
        self,
        photos: Sequence[str],
        kind: str,
        view: str,
        dtype: type[np.generic],
        restore: Callable[[str], NDArray[Any]] | None,
        make: Callable[[tuple[int, int]], Any],
    ) -> Any:
        """Load features into what `make` makes for their number and length."""
        result = make((0, 0))
        for number, row in enumerate(self._rows(photos, kind, view, dtype, restore)):
            if number == 0:
                result = make((len(photos), len(row)))
            result[number : number + 1] = row[np.newaxis]
        return result

    def _rows(
        self,
        photos: Sequence[str],
        kind: str,
        view: str,
        dtype: type[np.generic],
        restore: Callable[[str], NDArray[Any]] | None,
    ) -> Iterator[NDArray[Any]]:
        for start in range(0, len(photos), _ROWS_A_QUERY):
            some = photos[start : start + _ROWS_A_QUERY]
            found = self._use(partial(FeatureStore.find_many, photos=some, kind=kind, view=view))
            for photo in some:
                if photo in found:
                    yield np.frombuffer(found[photo], dtype=dtype)
                elif restore is not None:
                    yield restore(photo)
                else:
                    raise KeyError((photo, kind, view))

    def close(self) -> None:
        """Write all waiting features and close the file."""
        try:
            self.flush()
        finally:
            with self._lock:
                self._closed = True
                if self._store is not None:
                    self._store.close()
                if self._folder is not None:
                    self._folder.cleanup()

    def _write(self, store: FeatureStore) -> None:
        if self._waiting:
            store.insert(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0

    def _use(self, action: Callable[[FeatureStore], Result]) -> Result:
        """Call an action on the store. If the store fails, call the action on the store of the next place."""
        with self._lock:
            if self._closed:  # such as by a thread that outlived its run
                raise OutputError(f"the feature cache {str(self.path)!r} is closed: open it again")
            while True:
                try:
                    self._store = self._store or FeatureStore(self._place)
                    return action(self._store)
                except _FAILURES as error:
                    if self._place is None:
                        raise OutputError(f"features can be kept neither on disk nor in memory: {error}") from error
                    self._leave(error)

    def _leave(self, error: Exception) -> None:
        """Close a store that failed, and choose the place of the next."""
        store, self._store = self._store, None
        if store is not None:
            removed = store.was_removed()
            store.close()
            if removed and self._removals < _REMOVALS:
                self._removals += 1
                return
        if self._place == self.path:
            warnings.warn(_sentence(self.path, error), CacheWarning, stacklevel=2)
        if self._folder is None:
            self._make_temporary_place()
        else:
            self._place = None

    def _make_temporary_place(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="roadclear-", ignore_cleanup_errors=True)
            self._place = Path(self._folder.name, "run.sqlite")
        except OSError:
            self._place = None


def _sentence(path: Path, error: Exception) -> str:
    """Say in one line why a cache cannot be used, and what the user can do."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the low byte is the kind of error
    damaged = isinstance(error, UnicodeDecodeError)
    reason = "the file is damaged" if damaged else error.strerror if isinstance(error, OSError) else str(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        advice = "wait until the other process that uses the file has ended"
    elif damaged or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        advice = "run `roadclear cache clear`"
    else:
        advice = f"set {CACHE_FOLDER_VARIABLE} to a folder that has space and can be written"
    return (
        f"the feature cache {printable(repr(str(path)))} cannot be used ({printable(str(reason))}), and the run "
        f"goes on without it: to have a cache again, {advice}"
    )


def read_info(path: Path) -> CacheInfo:
    """Count the photos, features and bytes of a cache file. A missing file is an empty cache.

    Raises:
        OutputError: the file cannot be read, or is damaged.
    """
    if not path.exists():
        return CacheInfo(path, 0, 0, 0)
    try:
        store = FeatureStore(path)
        try:
            photos, features = store.count()
        finally:
            store.close()
        return CacheInfo(path, sum(file.stat().st_size for file in _files(path)), photos, features)
    except _FAILURES as error:
        raise OutputError(
            f"the feature cache {printable(repr(str(path)))} cannot be read ({printable(str(error))}): "
            "run `roadclear cache clear`"
        ) from error


def clear_cache(path: Path) -> None:
    """Delete a cache file, damaged or not, and the checkpoints and kept values in the same folder.

    A run that uses the file makes a new file, and computes again what it lacks.

    Raises:
        OutputError: a file cannot be deleted.
    """
    name = checkpoint_path(path, "*").name
    # Hidden files are what a killed process left while it wrote a checkpoint.
    beside = [*path.parent.glob(name), *path.parent.glob(f".{name}.*"), *kept_files(path.parent)]
    for file in [*_files(path), *beside]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"the cache file {str(file)!r} cannot be deleted: {error.strerror}") from error
    shutil.rmtree(cluster_checkpoints_path(path), ignore_errors=True)


def _files(path: Path) -> list[Path]:
    """List the files of a cache that exist: the journal first, so that no process takes it for that of a new file."""
    return [file for suffix in reversed(FILES) if os.path.lexists(file := Path(f"{path}{suffix}"))]


@contextmanager
def open_cache(path: Path | None) -> Iterator[FeatureCache]:
    """Open a cache file, and close it at the end. With None, use a temporary file and delete it at the end."""
    cache = FeatureCache(path)
    try:
        yield cache
    finally:
        cache.close()
