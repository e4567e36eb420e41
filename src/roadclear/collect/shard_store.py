"""The store of tar shards, in a folder or in an object store: photos are appended, and no file is ever changed.

A shard follows the convention of WebDataset: `<key>.jpg`, its label in `<key>.cls`, and its source and licence in
`<key>.json`. Beside `collected-<content>.tar` lies the table of its sources, `collected-<content>.tar.csv`, so that a
later run knows the photos without reading the shards. Tables `rejected-<content>.csv` hold the rejections.

The open shard is a temporary file without a name. A finished shard is written first, and its table second. So a kill
loses the open shard alone, and the next run makes a table that is missing. A shard that a person removed leaves its
table: its photos are not fetched again.
"""

import hashlib
import json
import mmap
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path, PurePosixPath

from roadclear.collect.downloader import Photo
from roadclear.collect.filing import Known, filed, name_of_photo, rejected
from roadclear.collect.records import RejectionRecord, SourceRecord, rejection_table, source_table
from roadclear.collect.rejections import RejectionReason
from roadclear.collect.shard_index import TABLE, look_up_shards
from roadclear.data.dataset import site_of
from roadclear.errors import OutputError
from roadclear.utils.files import as_output_error
from roadclear.utils.locks import folder_lock
from roadclear.utils.storage import Place, address_of, join, write_whole

PHOTOS_A_SHARD = 1000
"""Usual number of photos in a shard."""

MAX_SHARD_BYTES = 1_000_000_000
"""Size of its photos at which a shard is finished, also with fewer photos."""

_LONGEST_NOTE = 2_000  # characters; all notes of a photo must fit into what readers of shards take
_HALF_WRITTEN = re.compile(r"\.(collected|rejected)-.*\.roadclear")
_ROOM = "set TMPDIR to a folder that has space"


class ShardFiling:
    """Place of tar shards that is open for more.

    Attributes:
        known: index of the photos in the place, and in the open shard.

    Args:
        place: folder or address of the shards.
        known: index of the photos in the place.
        most: number of photos at which a shard is finished.
    """

    def __init__(self, place: Place, known: Known, most: int) -> None:
        self.known = known
        self._place = place
        self._most = most
        self._open: _OpenShard | None = None
        self._rejections: list[RejectionRecord] = []

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
        """Record why a photo was not collected. The record is written with the open shard."""
        rejection = rejected(source, reason, detail)
        self._rejections.append(rejection)
        self.known.reject(rejection)

    def finish(self) -> None:
        """Write the open shard and the rejections since the last one, if there are any.

        Raises:
            OutputError: the place cannot be written.
        """
        if self._open is not None:
            content = self._open.content()
            name = f"collected-{hashlib.sha256(content).hexdigest()[:16]}.tar"
            write_whole(join(self._place, name), content)
            write_whole(join(self._place, f"{name}{TABLE}"), source_table(self._open.sources))
            self._open = None
        if self._rejections:
            table = rejection_table(self._rejections)
            # The table is written last: a photo that it calls a copy of another is copied from a finished shard.
            write_whole(join(self._place, f"rejected-{hashlib.sha256(table).hexdigest()[:16]}{TABLE}"), table)
            self._rejections = []


@contextmanager
def open_shards(place: Place, labels: Sequence[str], most: int) -> Iterator[ShardFiling]:
    """Open a place of shards, new or from earlier runs. At the end, also after an error, the open shard is written.

    In a folder on this machine, one process at a time collects. An object store has no locks.

    Args:
        place: folder or address of the shards.
        labels: labels of the photos.
        most: number of photos at which a shard is finished.

    Raises:
        DatasetError: the place holds other things than shards, photos of other labels, or tables of another program.
        OutputError: another process works in the folder, or the place cannot be written.
        OptionError: the place is on a web server, or pyarrow is not installed.
    """
    with _held(place):
        known = look_up_shards(place, labels, lambda name, data: write_whole(join(place, name), data))
        filing = ShardFiling(place, known, most)
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
        self.sources: list[SourceRecord] = []
        self.bytes = 0
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
        with as_output_error(Path(tempfile.gettempdir()), _ROOM):
            for name, content in members.items():
                header = tarfile.TarInfo(name)  # without time and owner, so that content alone decides the bytes
                header.size = len(content)
                self._archive.addfile(header, BytesIO(content))
        self.sources.append(source)
        self.bytes += len(data)

    def content(self) -> mmap.mmap:
        """Close the archive, and return its content as a view of the temporary file.

        Raises:
            OutputError: the temporary file cannot be written.
        """
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
def _held(place: Place) -> Iterator[None]:
    """Make a folder, hold its lock, and remove temporary files that a kill left. Object stores need none of it."""
    if address_of(place) is not None:
        yield
        return
    folder = Path(place)
    with as_output_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder):
        with as_output_error(folder, "make everything in it writable, then collect again"):
            for path in folder.iterdir():
                if _HALF_WRITTEN.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        yield
