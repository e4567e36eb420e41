"""One shard of photos -> one Parquet file with a row a photo.

The file's name follows from the shard's content and from everything that determines a row. So work that was done is
found by its name, and starting again does only what is missing. A file is written whole or not at all.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from roadclear.data.shards.parquet import parquet_module
from roadclear.data.shards.photo import DETAILS, OpenShard, Shard, ShardPhoto
from roadclear.errors import PhotoError
from roadclear.utils.executors import Executor
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.storage import UnavailableError, is_file, join, with_file, write_whole
from roadclear.utils.text import printable
from roadclear.utils.threads import ordered_map, worker_threads

SUFFIX = ".parquet"

_FORMAT = 2
"""Increased whenever a column is added, or changes its meaning."""

_EXAMPLES = 20
_ROWS_A_GROUP = 1024
_SUMMARY = b"roadclear"

Columns = Mapping[str, Any]
"""Values of a row, by column."""


class PhotoWork(Protocol):
    """What is computed from every photo. The work can be pickled."""

    @property
    def key(self) -> str:
        """Everything that determines a row, beside the photo."""
        ...

    def fields(self) -> Sequence[tuple[str, Any]]:
        """Names and pyarrow types of the columns that the work adds."""
        ...

    def open(self, isolated: bool) -> Callable[[bytes, str], Columns]:
        """Make the function from a photo's content and SHA-256 to the columns. Threads may share the function.

        The function raises PhotoError for a photo that cannot be used.

        Args:
            isolated: whether photos are decoded in processes of their own, which a damaged photo may end.
        """
        ...


@dataclass(frozen=True)
class MappedShard:
    """What became of a shard.

    Attributes:
        name: name of the shard.
        file: name of the Parquet file in the target; empty where the shard could not be read.
        photos: number of rows.
        unreadable: number of rows with an error.
        examples: ids and reasons of the first 20 unreadable photos, or of the shard itself.
        computed: whether the file was computed now, and not found.
    """

    name: str
    file: str
    photos: int
    unreadable: int
    examples: tuple[tuple[str, str], ...]
    computed: bool


@dataclass
class ShardMap:
    """Function from a shard to its Parquet file in a folder.

    Attributes:
        work: what is computed from every photo.
        target: folder or address of the files.
        isolated: whether photos are decoded in processes of their own. The results are the same.
    """

    work: PhotoWork
    target: str
    isolated: bool = False
    _function: Callable[[bytes, str], Columns] | None = field(default=None, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open work: a copy opens its own."""
        return {**vars(self), "_function": None}

    def __call__(self, shard: Shard) -> MappedShard:
        """Compute the file of a shard, or find the file.

        A shard that cannot be read at all leaves no file, so that starting again tries the shard again.

        Raises:
            OutputError: the file cannot be written.
            DatasetError, OptionError, EngineError: see the shard and the work.
        """
        try:
            with shard.open() as opened:
                file = f"{shard.name}-{opened.sha256[:16]}-{short_key(self.work)}{SUFFIX}"
                place = join(self.target, file)
                found = read_summary(place) if is_file(place) else None
                if found is not None:
                    return MappedShard(shard.name, file, **found, computed=False)
                return self._compute(shard.name, opened, file, place)
        except UnavailableError as error:
            return MappedShard(shard.name, "", 0, 1, ((shard.name, error.reason),), computed=False)

    def _compute(self, name: str, opened: OpenShard, file: str, place: str) -> MappedShard:
        if self._function is None:
            self._function = self.work.open(self.isolated)
        with closing(ordered_map(self._row, opened.photos, worker_threads())) as rows:
            table = _Table(self.work)
            while group := list(islice(rows, _ROWS_A_GROUP)):
                table.add(group)
        write_whole(place, table.finish())
        return MappedShard(name, file, table.photos, table.unreadable, tuple(table.examples), computed=True)

    def _row(self, photo: ShardPhoto) -> dict[str, Any]:
        known = {"id": photo.id, "error": photo.reason, **{name: getattr(photo, name) for name in DETAILS}}
        # Parquet holds UTF-8. A file name of other bytes is written with escapes.
        row: dict[str, Any] = {name: None if text is None else printable(text) for name, text in known.items()}
        if photo.content is not None and self._function is not None:
            row["sha256"] = hashlib.sha256(photo.content).hexdigest()
            try:
                row |= self._function(photo.content, row["sha256"])
            except PhotoError as error:
                row["error"] = error.reason
        return row


def map_shards(
    executor: Executor, function: ShardMap, shards: Sequence[Shard], progress: ProgressCallback = no_progress
) -> Iterator[MappedShard]:
    """Compute the files of shards.

    Args:
        executor: where the shards are computed.
        function: what is computed, and where the files are written.
        shards: shards of a source.
        progress: called after every shard.

    Yields:
        What became of every shard, in any order.

    Raises:
        OutputError, DatasetError, OptionError, EngineError: see `ShardMap` and `Executor`.
    """
    for done, mapped in enumerate(executor.map(function, shards, replace(function, isolated=True)), start=1):
        progress("Shards", done, len(shards))
        yield mapped


def short_key(work: PhotoWork) -> str:
    """Return a digest of everything that determines a row, as the names of files have it."""
    return hashlib.sha256(f"{_FORMAT}\n{work.key}".encode()).hexdigest()[:12]


def read_summary(place: str) -> dict[str, Any] | None:
    """Read the counts of a finished file: photos, unreadable and examples; None for a file that is damaged."""
    pq = parquet_module()
    from pyarrow import ArrowException

    try:
        metadata = with_file(place, lambda source: pq.read_metadata(source).metadata)
        values = json.loads((metadata or {})[_SUMMARY])
        examples = tuple((str(name), str(reason)) for name, reason in values["examples"])
        return {"photos": values["photos"], "unreadable": values["unreadable"], "examples": examples}
    except (ArrowException, UnavailableError, KeyError, ValueError, TypeError):
        return None


def read_columns(place: str, columns: Sequence[str]) -> Any:
    """Read columns of a file as a pyarrow table.

    Raises:
        UnavailableError: the file cannot be read.
        OptionError: pyarrow is not installed.
    """
    pq = parquet_module()
    from pyarrow import ArrowException

    try:
        return with_file(place, lambda source: pq.read_table(source, columns=list(columns), memory_map=False))
    except ArrowException as error:
        raise UnavailableError(place, f"a damaged Parquet file ({' '.join(str(error).split())[:100]})") from error


class _Table:
    """Rows that are written as one Parquet file in memory."""

    def __init__(self, work: PhotoWork) -> None:
        pq = parquet_module()
        import pyarrow as pa

        text = pa.string()
        self._schema = pa.schema(
            [("id", text), ("sha256", text), *((name, text) for name in DETAILS), *work.fields(), ("error", text)]
        )
        self._file = io.BytesIO()
        # Floats are written byte by byte, which zstd packs by a tenth. Dictionaries would not help them.
        floats = [field.name for field in self._schema if pa.types.is_fixed_size_list(field.type)]
        packed = [f"{name}.list.element" for name in floats]
        self._writer = pq.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            use_dictionary=list(DETAILS),
            use_byte_stream_split=packed or False,
        )
        self.photos, self.unreadable = 0, 0
        self.examples: list[tuple[str, str]] = []

    def add(self, rows: Sequence[Columns]) -> None:
        """Add rows as one group."""
        import pyarrow as pa

        arrays = [_array(pa, [row.get(field.name) for row in rows], field.type) for field in self._schema]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self.photos += len(rows)
        failed = [(str(row["id"]), str(row["error"])) for row in rows if row.get("error") is not None]
        self.unreadable += len(failed)
        self.examples += failed[: _EXAMPLES - len(self.examples)]

    def finish(self) -> bytes:
        """Return the content of the file."""
        summary = {"photos": self.photos, "unreadable": self.unreadable, "examples": self.examples}
        self._writer.add_key_value_metadata({_SUMMARY.decode(): json.dumps(summary)})
        self._writer.close()
        return self._file.getvalue()


def _array(pa: Any, values: Sequence[Any], kind: Any) -> Any:
    """Make a pyarrow array. Rows of numbers come as NumPy arrays, of which an empty row has none."""
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(values, kind)
    import numpy as np

    width, dtype = kind.list_size, kind.value_type.to_pandas_dtype()
    flat = np.concatenate([np.zeros(width, dtype) if value is None else value.astype(dtype) for value in values])
    missing = np.array([value is None for value in values], dtype=bool)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width, mask=pa.array(missing))
