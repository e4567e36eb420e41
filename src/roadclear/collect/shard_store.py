"""The store of tar shards, in a folder or in an object store: photos are appended, and no file is ever changed.

A shard follows the convention of WebDataset: `<key>.jpg`, its label in `<key>.cls`, and its source and licence in
`<key>.json`. Beside `collected-<content>.tar` lies the table of its sources, `collected-<content>.tar.csv`, so that a
later run knows the photos without reading the shards. Tables `rejected-<content>.csv` hold the rejections.

The open shard is a temporary file without a name. A finished shard is written first, and its table second. So a kill
loses the open shard alone, and the next run makes a table that is missing. A shard that a person removed leaves its
table: its photos are not fetched again. Processes of one machine take turns at finishing shards, by a lock.
"""

import hashlib
import json
import mmap
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from roadclear.collect.downloader import Photo
from roadclear.collect.filing import Known, filed, name_of_photo, rejected
from roadclear.collect.records import RejectionRecord, SourceRecord, rejection_table, source_table
from roadclear.collect.rejections import RejectionReason
from roadclear.collect.shard_index import REJECTED, TABLE, ShardIndex
from roadclear.data.dataset import site_of
from roadclear.errors import OutputError
from roadclear.utils.files import as_output_error
from roadclear.utils.locks import LOCK, folder_lock
from roadclear.utils.paths import default_cache_path
from roadclear.utils.storage import Place, address_of, join, write_whole

PHOTOS_A_SHARD = 1000
"""Usual number of photos in a shard."""

MAX_SHARD_BYTES = 1_000_000_000
"""Size of its photos at which a shard is finished, also with fewer photos."""

_LONGEST_NOTE = 2_000  # characters; all notes of a photo must fit into what readers of shards take
_HALF_WRITTEN = re.compile(r"\.(collected|rejected)-.*\.roadclear")
_ROOM = "set TMPDIR to a folder that has space"
_MAKE_ROOM = "make room, then collect again"


class ShardFiling:
    """Place of tar shards that is open for more.

    Attributes:
        known: index of the photos in the place, and in the open shard.

    Args:
        place: folder or address of the shards.
        labels: labels of the photos.
        most: number of photos at which a shard is finished.

    Raises:
        DatasetError, OutputError, OptionError: see `open_shards`.
    """

    def __init__(self, place: Place, labels: Sequence[str], most: int) -> None:
        self.known = Known()
        self._place = place
        self._most = most
        self._open: _OpenShard | None = None
        self._rejections: list[RejectionRecord] = []
        self._index = ShardIndex(place, labels, self._write)
        with _alone(place):
            self._take_news()

    def add(self, source: SourceRecord, photo: Photo) -> None:
        """File a photo in the open shard.

        Raises:
            FetchError: a photo with the same bytes was collected before.
            OutputError: the shard cannot be written.
        """
        self.known.check_new(photo)
        source = filed(source, photo, name_of_photo(source, photo))
        if self._open is None:
            self._open = _OpenShard()
        try:
            self._open.add(source, photo.data)
        except OutputError:
            # A photo that was written in part would damage the shard. What is known of its photos is not kept either.
            self._open, self._rejections = None, []
            raise
        self.known.add(source)
        if len(self._open.sources) >= self._most or self._open.bytes >= MAX_SHARD_BYTES:
            self.finish()

    def reject(self, source: SourceRecord, reason: RejectionReason, detail: str) -> None:
        """Record why a photo was not collected. A record that is new is written with the open shard."""
        rejection = rejected(source, reason, detail)
        if self.known.reject(rejection):
            self._rejections.append(rejection)

    def finish(self) -> None:
        """Write the open shard and the rejections since the last one, if there are any.

        Photos that another process has filed meanwhile are left out of the shard.

        Raises:
            DatasetError, OptionError: see `open_shards`. The shard is written before.
            OutputError: the place cannot be written.
        """
        if self._open is None and not self._rejections:
            return
        with _alone(self._place):
            try:
                self._take_news()
            finally:
                self._write_open()

    def _take_news(self) -> None:
        """Learn what other processes have filed and rejected."""
        sources, rejections = self._index.read_new()
        if self._open is not None:
            for source in self._open.drop({source.sha256 for source in sources}):
                self.known.discard(source)
                self.reject(replace(source, file=""), RejectionReason.SAME_BYTES, "another collection took it first")
        for source in sources:
            self.known.add(source)
        for rejection in rejections:
            self.known.reject(rejection)

    def _write_open(self) -> None:
        if self._open is not None and self._open.sources:
            content = self._open.content()
            name = f"collected-{hashlib.sha256(content).hexdigest()[:16]}.tar"
            self._write(name, content)
            self._write(f"{name}{TABLE}", source_table(self._open.sources))
        self._open = None
        if self._rejections:
            table = rejection_table(self._rejections)
            # The table is written last: a photo that it calls a copy of another is copied from a finished shard.
            self._write(f"{REJECTED}{hashlib.sha256(table).hexdigest()[:16]}{TABLE}", table)
            self._rejections = []

    def _write(self, name: str, content: bytes | mmap.mmap) -> None:
        write_whole(join(self._place, name), content, _MAKE_ROOM)
        self._index.skip(name)


@contextmanager
def open_shards(place: Place, labels: Sequence[str], most: int) -> Iterator[ShardFiling]:
    """Open a place of shards, new or from earlier runs. At the end, also after an error, the open shard is written.

    Several processes of this machine may collect into one place. Each learns of the photos of the others when it
    finishes a shard, and no photo is filed twice. Processes on other machines may file a photo twice.

    Args:
        place: folder or address of the shards.
        labels: labels of the photos.
        most: number of photos at which a shard is finished.

    Raises:
        DatasetError: the place holds other things than shards, photos of other labels, or tables of another program.
        OutputError: the place cannot be written.
        OptionError: the place is on a web server, or pyarrow is not installed.
    """
    filing = ShardFiling(place, labels, most)
    try:
        yield filing
    finally:
        filing.finish()


class _OpenShard:
    """Shard that photos are added to, in a temporary file that a kill takes away.

    Attributes:
        sources: records of the photos.
        bytes: size of the photos.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.sources: list[SourceRecord] = []
        self.bytes = 0
        self._starts: list[int] = []
        self._is_whole = True
        with as_output_error(Path(tempfile.gettempdir()), _ROOM):
            self._file = tempfile.TemporaryFile(prefix="roadclear-")  # noqa: SIM115, lives as long as the shard
        self._archive = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, source: SourceRecord, data: bytes) -> None:
        """Add a photo.

        Raises:
            OutputError: the temporary file cannot be written.
        """
        key = PurePosixPath(source.file).stem
        members = {source.file: data, f"{key}.cls": source.label.encode(), f"{key}.json": _notes(source)}
        start = self._archive.offset + tarfile.BLOCKSIZE
        self._is_whole = False
        with as_output_error(Path(tempfile.gettempdir()), _ROOM):
            for name, content in members.items():
                header = tarfile.TarInfo(name)  # without time and owner, so that content alone decides the bytes
                header.size = len(content)
                self._archive.addfile(header, BytesIO(content))
        self._starts.append(start)
        self.sources.append(source)
        self.bytes += len(data)
        self._is_whole = True

    def drop(self, hashes: Set[str]) -> list[SourceRecord]:
        """Leave out photos by their SHA-256, and return what was known of the photos.

        Raises:
            OutputError: the temporary file cannot be written.
        """
        dropped = [source for source in self.sources if source.sha256 in hashes]
        # Ctrl-C may have come in the middle of a photo.
        if dropped or not self._is_whole:
            before, photos = self._file, list(zip(self.sources, self._starts, strict=False))
            self._begin()
            with before:
                for source, start in photos:
                    if source.sha256 not in hashes:
                        before.seek(start)
                        self.add(source, before.read(int(source.bytes)))
        return dropped

    def content(self) -> mmap.mmap:
        """Close the archive, and return its content as a view of the temporary file.

        Raises:
            OutputError: the temporary file cannot be written.
        """
        self.drop(frozenset())
        with as_output_error(Path(tempfile.gettempdir()), _ROOM):
            self._archive.close()
            self._file.flush()
            return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


def _notes(source: SourceRecord) -> bytes:
    """Source and licence of a photo as JSON: the columns of sources.csv, and what trainings read of a photo."""
    values = {name: text[:_LONGEST_NOTE] for name, text in asdict(source).items() if name != "file"}
    values |= {"page": values["page_url"], "source": site_of(source.page_url) or source.provider}
    return json.dumps({name: text for name, text in values.items() if text}, ensure_ascii=False).encode()


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Wait for the lock of a place, and hold the lock. Temporary files that a kill left in a folder are removed.

    An address has its lock beside the cache, for all processes of the user on this machine.
    """
    address = address_of(place)
    if address is not None:
        name = f"collect-{hashlib.sha256(address.rstrip('/').encode()).hexdigest()[:16]}.lock"
        with _lock_in(default_cache_path().parent, name):
            yield
        return
    folder = Path(place)
    with _lock_in(folder, LOCK):
        with as_output_error(folder, "make everything in it writable, then collect again"):
            for path in folder.iterdir():
                if _HALF_WRITTEN.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        yield


@contextmanager
def _lock_in(folder: Path, name: str) -> Iterator[None]:
    with as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder, name, wait=True):
        yield
