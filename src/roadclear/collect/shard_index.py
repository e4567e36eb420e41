"""What is known of the photos in tar shards: read from the tables beside the shards, or from the shards themselves."""

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

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
from roadclear.errors import DatasetError
from roadclear.utils.storage import Place, address_of, join, list_files, local_copy, name_of
from roadclear.utils.threads import ordered_map

TABLE = ".csv"
"""End of the names of tables. The table of a shard is named like the shard, with this end."""

_READERS = 8
_REJECTED = re.compile(r"rejected-[0-9a-f]{16}\.csv")
_DAMAGES = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)


def look_up_shards(
    place: Place, labels: Sequence[str], write: Callable[[str, bytes], None] = lambda name, data: None
) -> Known:
    """Read the index of a place of shards.

    Args:
        place: folder or address of the shards.
        labels: labels of the photos.
        write: called with the name and the content of every table that is missing; by default nothing is written.

    Raises:
        DatasetError: the place holds other things than shards, photos of other labels, or tables of another program.
        OptionError: the place is on a web server, or pyarrow is not installed.
    """
    names = _list(place)
    sources, removed = _read_sources(place, names, write)
    others = sorted({source.label for source in sources} - set(labels))
    if others:
        raise DatasetError(
            f"expected in {name_of(place)!r} no photos but of {' and '.join(map(repr, labels))}, found {others[0]!r}: "
            "choose another place, or name the labels that are there with --labels"
        )
    rejections: list[RejectionRecord] = []
    for name in filter(_REJECTED.fullmatch, names):
        with local_copy(join(place, name)) as (path, _):
            rejections += read_rejection_table(path, join(place, name))
    detail = "its shard is no longer there"
    return Known(sources, [*rejections, *(RejectionRecord(RejectionReason.REMOVED, detail, one) for one in removed)])


def read_shard_sources(place: Place) -> list[SourceRecord]:
    """Read the sources of all photos in the shards of a place, also of those that a table is missing for.

    Raises:
        DatasetError, OptionError: see `look_up_shards`.
    """
    return _read_sources(place, _list(place), lambda name, data: None)[0]


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


def _read_sources(
    place: Place, names: Sequence[str], write: Callable[[str, bytes], None]
) -> tuple[list[SourceRecord], list[SourceRecord]]:
    """Read the sources of the photos in shards, and of those in shards that were removed. Write missing tables."""
    shards = {name for name in names if is_tar(name)}
    tables = [name for name in names if name.endswith(TABLE) and is_tar(name.removesuffix(TABLE))]
    there: list[SourceRecord] = []
    removed: list[SourceRecord] = []
    with closing(ordered_map(lambda name: _read_table(join(place, name)), tables, _READERS)) as read:
        for name, sources in zip(tables, read, strict=True):
            (there if name.removesuffix(TABLE) in shards else removed).extend(sources)
    for name in sorted(shards - {name.removesuffix(TABLE) for name in tables}):
        sources, whole = _read_shard(join(place, name))
        there += sources
        if whole:
            write(f"{name}{TABLE}", source_table(sources))
    return there, removed


def _read_table(place: str) -> list[SourceRecord]:
    with local_copy(place) as (path, _):
        return read_source_table(path, place)


def _read_shard(place: str) -> tuple[list[SourceRecord], bool]:
    """Read the sources of the photos in a shard that has no table, and whether the shard is whole."""
    photos: dict[str, tuple[str, str]] = {}
    notes: dict[str, dict[str, Any]] = {}
    whole = True
    with local_copy(place) as (path, _):
        try:
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    _take(archive, member, photos, notes)
        except _DAMAGES:
            whole = False
    sources = []
    for key, (name, sha256) in photos.items():
        known = {"label": PurePosixPath(name).parent.name, **notes.get(key, {})}
        source = SourceRecord.of_values({**known, "file": name, "sha256": sha256})
        sources.append(source if source.is_whole else replace(source, retrieved_at=now()))
    return sources, whole


def _take(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    photos: dict[str, tuple[str, str]],
    notes: dict[str, dict[str, Any]],
) -> None:
    """Take a member of a shard: a photo, or what a label or notes say of one."""
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        return
    name, data = member.name.removeprefix("./"), file.read()
    folder, _, last = name.rpartition("/")
    key = f"{folder}/{last.split('.', 1)[0]}"
    if named_like_a_photo(name):
        photos[key] = name, hashlib.sha256(data).hexdigest()
    elif name.endswith(".cls"):
        notes.setdefault(key, {})["label"] = data.decode(errors="replace").strip()
    elif name.endswith(".json"):
        values = json.loads(data)
        notes[key] = {**(values if isinstance(values, dict) else {}), **notes.get(key, {})}
