"""What is known of the photos in tar shards: read from the tables beside the shards, or from the shards themselves."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from roadclear.collect.filing import Known, now
from roadclear.collect.records import (
    RejectionRecord,
    SourceRecord,
    read_rejection_table,
    read_source_table,
    source_table,
)
from roadclear.collect.rejections import RejectionReason
from roadclear.data.discovery import named_like_a_photo
from roadclear.data.shards.names import is_tar
from roadclear.data.shards.tar import read_samples
from roadclear.errors import DatasetError
from roadclear.utils.storage import Place, address_of, join, list_files, local_copy, name_of
from roadclear.utils.threads import ordered_map

TABLE = ".csv"
"""End of the names of tables. The table of a shard is named like the shard, with this end."""

REJECTED = "rejected-"
"""Begin of the names of tables of rejections."""

_READERS = 8


class ShardIndex:
    """Reader of the tables in a place of shards. Each table is read once.

    Args:
        place: folder or address of the shards.
        labels: labels that photos may have; None for any labels.
        write: called with the name and the content of every table that is missing; None where nothing is written.
    """

    def __init__(
        self,
        place: Place,
        labels: Sequence[str] | None = None,
        write: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._place = place
        self._labels = labels
        self._write = write
        self._seen: set[str] = set()

    def skip(self, name: str) -> None:
        """Count a file as read."""
        self._seen.add(name)

    def read_new(self) -> tuple[list[SourceRecord], list[RejectionRecord]]:
        """Read the sources and rejections that came since the last call; those of all files at the first.

        Photos of a shard that is no longer there are rejections.

        Raises:
            DatasetError: the place holds other things than shards, photos of other labels, or tables of another
                program.
            OptionError: the place is on a web server, or pyarrow is not installed.
        """
        names = _list(self._place)
        new = set(names) - self._seen
        shards = {name for name in names if is_tar(name)}
        tables = [name for name in sorted(new) if _shard_of(name) is not None and _shard_of(name) not in self._seen]
        sources: list[SourceRecord] = []
        removed: list[SourceRecord] = []
        with closing(ordered_map(self._read_table, tables, _READERS)) as read:
            for name, found in zip(tables, read, strict=True):
                (sources if _shard_of(name) in shards else removed).extend(found)
        for name in sorted(shards & new - set(map(_shard_of, tables))):
            sources += self._read_shard(name)
        self._check_labels(sources)
        gone = "its shard is no longer there"
        rejections = [RejectionRecord(RejectionReason.REMOVED, gone, source) for source in removed]
        for name in sorted(new):
            if name.startswith(REJECTED) and name.endswith(TABLE) and _shard_of(name) is None:
                with local_copy(join(self._place, name)) as (path, _):
                    rejections += read_rejection_table(path, join(self._place, name))
        self._seen |= new
        return sources, rejections

    def _check_labels(self, sources: Sequence[SourceRecord]) -> None:
        if self._labels is None:
            return
        others = sorted({source.label for source in sources} - set(self._labels))
        if others:
            raise DatasetError(
                f"expected in {name_of(self._place)!r} no photos but of {' and '.join(map(repr, self._labels))}, found "
                f"{others[0]!r}: choose another place, or name the labels that are there with --labels"
            )

    def _read_table(self, name: str) -> list[SourceRecord]:
        place = join(self._place, name)
        with local_copy(place) as (path, _):
            return read_source_table(path, place)

    def _read_shard(self, name: str) -> list[SourceRecord]:
        """Read the sources of the photos in a shard that has no table. The table of a whole shard is written."""
        sources: list[SourceRecord] = []
        whole = True
        with local_copy(join(self._place, name)) as (path, _):
            for sample in read_samples(name, path):
                whole = whole and not sample.is_damage
                for photo in sample.photos():
                    if photo.content is not None:
                        known = {"label": photo.label or "", "file": photo.id.removeprefix(f"{name}/")}
                        known["sha256"] = hashlib.sha256(photo.content).hexdigest()
                        source = SourceRecord.of_values({**sample.notes, **known})
                        sources.append(source if source.is_whole else replace(source, retrieved_at=now()))
        if whole and self._write is not None:
            self._write(f"{name}{TABLE}", source_table(sources))
        return sources


def look_up_shards(place: Place, labels: Sequence[str]) -> Known:
    """Read the index of a place of shards. Nothing is written.

    Raises:
        DatasetError, OptionError: see `ShardIndex.read_new`.
    """
    return Known(*ShardIndex(place, labels).read_new())


def read_shard_sources(place: Place) -> list[SourceRecord]:
    """Read the sources of all photos in the shards of a place, also of those that a table is missing for.

    Raises:
        DatasetError, OptionError: see `ShardIndex.read_new`.
    """
    return ShardIndex(place).read_new()[0]


def _shard_of(name: str) -> str | None:
    """Name of the shard that a table is about; None for other files."""
    shard = name.removesuffix(TABLE)
    return shard if shard != name and is_tar(shard) else None


def _list(place: Place) -> list[str]:
    """List the files of a place, and refuse a place in which shards would not be found."""
    if address_of(place) is None and not Path(place).is_dir():
        return []
    names = [name for name in list_files(place) if not name.startswith(".")]
    other = next((name for name in names if "/" in name or named_like_a_photo(name)), None)
    if other is not None:
        raise DatasetError(
            f"expected nothing but tar shards in {name_of(place)!r}, found {other!r}: choose another place with --to"
        )
    return names
