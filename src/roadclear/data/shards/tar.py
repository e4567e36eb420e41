"""Tar shards in the WebDataset convention: members of one key are one sample, as 17.jpg, 17.cls and 17.json.

The label is the text of the member `.cls`, the value "label" of the member `.json`, or the name of the folder. A chosen
column for labels is another value of the member `.json`. Source:
"WebDataset", https://github.com/webdataset/webdataset. Archives may be compressed by gzip, bzip2 or xz.

Nothing is unpacked to the disk. A member costs at most the memory of one photo.
"""

import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path, PurePosixPath
from typing import Any

from roadclear.data.discovery import named_like_a_photo
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.photo import DETAILS, OpenShard, ShardPhoto, label_of, with_columns
from roadclear.images.limits import MAX_FILE_BYTES
from roadclear.utils.storage import local_copy
from roadclear.utils.text import printable

MAX_BYTES = 50_000_000_000
"""Largest size of a shard's members together, unpacked. Further members are not read."""

_MAX_NOTE_BYTES = 2**16
_MAX_HEADER_BYTES = 2**16
_LONG_HEADERS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.GNUTYPE_SPARSE,
    }
)
_DAMAGES = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, IndexError, MemoryError, OverflowError)
"""What Python's reader raises for damaged archives."""


@dataclass(frozen=True)
class TarShard:
    """Tar archive of photos.

    Attributes:
        name: name of the shard, and first part of its photos' ids.
        address: path or address of the file.
        columns: column with labels.
    """

    name: str
    address: str
    columns: SourceSettings = field(default_factory=SourceSettings)

    @contextmanager
    def open(self) -> Iterator[OpenShard]:
        """Open the archive; see `roadclear.data.shards.photo.Shard`."""
        with local_copy(self.address) as (path, sha256):
            samples = read_samples(self.name, path)
            label = self.columns.label_column
            yield OpenShard(with_columns(sha256, label), (photo for one in samples for photo in one.photos(label)))


@dataclass
class Sample:
    """Members of one key.

    Attributes:
        key: path of the members up to the first dot of their names.
        members: photos, as their members alone describe the photos.
        label: text of the member `.cls`, or None.
        notes: values of the member `.json`.
        is_damage: whether the archive is cut short or damaged here. The only member then says so.
    """

    key: str
    members: list[ShardPhoto] = field(default_factory=list)
    label: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    is_damage: bool = False

    def photos(self, label_column: str | None = None) -> Iterator[ShardPhoto]:
        """Photos, as all members of the key describe the photos.

        Args:
            label_column: name of the label in the notes; None for the usual ways to give a label.
        """
        known = {name: self.notes.get(name) for name in DETAILS} | ({"label": self.label} if self.label else {})
        if label_column is not None:
            known["label"] = self.notes.get(label_column)
        details = {name: printable(str(value)) for name, value in known.items() if isinstance(value, str | int)}
        for photo in self.members:
            bare = photo if label_column is None else changed(photo, label=None)
            yield changed(bare, **details)  # type: ignore[arg-type]


@dataclass
class _End:
    """Whether the archive ended as archives do: with a block of zeros."""

    proper: bool = False


def read_samples(shard: str, path: Path) -> Iterator[Sample]:
    """Read the samples of an archive. Where the archive is cut short or damaged, the last sample says so.

    Args:
        shard: name of the shard, and first part of its photos' ids.
        path: file of the archive.
    """
    end, members = _End(), 0
    sample = Sample("")
    try:
        with tarfile.open(path, "r|*", tarinfo=_checked_headers(end)) as archive:
            for member, content in _contents(archive):
                members += 1
                name = "/".join(part for part in PurePosixPath(member.name).parts if part != ".")
                key = _key(name)
                if key != sample.key:
                    yield sample
                    sample = Sample(key)
                _take(sample, f"{shard}/{name}", name, content)
    except _DAMAGES as error:
        yield sample
        yield _damage(shard, members, printable(str(error))[:100])
        return
    yield sample
    if not end.proper:
        yield _damage(shard, members, "the end is missing")


def _contents(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, bytes | str]]:
    """Regular visible members, each with its content, or the reason why it has none."""
    total = 0
    for member in archive:
        archive.members = []  # type: ignore[attr-defined] # otherwise all headers stay in memory
        parts = PurePosixPath(member.name).parts
        if not member.isreg() or any(part.startswith(".") and part != "." for part in parts) or "__MACOSX" in parts:
            continue
        total += member.size
        if total > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES / 1e9:g} GB")
        if member.size > MAX_FILE_BYTES:
            yield member, f"too large: {member.size / 1e6:,.0f} MB, expected at most {MAX_FILE_BYTES / 1e6:,.0f}"
            continue
        file = archive.extractfile(member)
        content = file.read() if file is not None else b""
        if len(content) < member.size:
            raise EOFError("unexpected end of data")
        yield member, content


def _take(sample: Sample, name: str, path: str, content: bytes | str) -> None:
    """Add a member to its sample: a photo, a label, or notes. Other members are passed over."""
    if named_like_a_photo(path):
        label, split = label_of(path)
        reason = content if isinstance(content, str) else None if content else "the file is empty"
        photo = ShardPhoto(name, content if isinstance(content, bytes) and content else None, reason, label, split)
        sample.members.append(photo)
    elif isinstance(content, bytes) and len(content) <= _MAX_NOTE_BYTES:
        if path.lower().endswith(".cls"):
            sample.label = content.decode(errors="replace").strip()
        elif path.lower().endswith(".json"):
            sample.notes = _notes(content)


def _notes(content: bytes) -> dict[str, Any]:
    """What the member .json says of a photo. Damaged members say nothing."""
    try:
        values: Any = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _key(name: str) -> str:
    """Key of a member: its path up to the first dot of its name."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.split('.', 1)[0]}"


def _damage(shard: str, members: int, found: str) -> Sample:
    reason = f"the shard is cut short or damaged after {members:,} members ({found})"
    return Sample("", [ShardPhoto(shard, None, reason)], is_damage=True)


def _checked_headers(end: _End) -> type[tarfile.TarInfo]:
    """Make a class of headers that notes how the archive ends, and refuses headers that are large by themselves.

    Python's reader takes a damaged header for the end, and reads a long header whole into memory.
    """

    class Checked(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Checked":
            end.proper = len(buf) == tarfile.BLOCKSIZE and not any(buf)
            info = super().frombuf(buf, encoding, errors)
            if info.type in _LONG_HEADERS and (info.size > _MAX_HEADER_BYTES or info.type == tarfile.GNUTYPE_SPARSE):
                raise ValueError("a header too large or of an unusual kind")
            return info

    return Checked
