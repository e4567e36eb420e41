"""ZIP archives of photos, unpacked into a temporary folder for as long as the program runs.

An archive from elsewhere may be made to harm: with names that lead out of the folder, with a few bytes that unpack to
many, or with entries beyond number. What an archive may cost is checked before the first file is written.
"""

import os
import shutil
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from roadclear.errors import DatasetError, OutputError
from roadclear.images.limits import MAX_FILE_BYTES
from roadclear.utils.temporary import set_origin, temporary_folder
from roadclear.utils.text import printable

MAX_ENTRIES = 100_000
"""Largest number of entries in an archive."""

MAX_BYTES = 10_000_000_000
"""Largest size of all entries together, unpacked."""

MAX_DIRECTORY_BYTES = 50_000_000
"""Largest list of entries in an archive. Python holds the whole list in memory: 100,000 long names take about 20 MB."""

MAX_DEPTH = 32
"""Largest number of folders within each other."""

SUFFIX = ".zip"

_MAGIC = b"PK\x03\x04"
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 1
_DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, IndexError, RuntimeError, OverflowError)
"""What Python's reader raises for damaged archives."""

_TEMPORARY = "set TMPDIR to a folder that has space"
_CHUNK_BYTES = 2**20
_LOCATOR_BYTES = 20
_TAIL_BYTES = 65_535 + 22 + _LOCATOR_BYTES
"""The longest comment, the record at the end, and the locator of the longer record."""

_lock = threading.Lock()
_unpacked: dict[tuple[str, int, int], Path] = {}


def is_archive(path: Path) -> bool:
    """Whether a path is a regular file that is named .zip and begins like a ZIP archive."""
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def unpack(path: Path) -> Path:
    """Unpack an archive into a temporary folder, which is removed when the program ends.

    The same archive is unpacked once. Names that macOS adds (`__MACOSX`) and hidden names are left out.

    Returns:
        The folder.

    Raises:
        DatasetError: the archive is damaged, encrypted, too large or compressed by another method than deflate; or a
            name leads out of the archive, occurs twice or lies too deep.
        OutputError: the temporary folder cannot be written.
    """
    with _lock:
        try:
            status = path.stat()
            key = (str(path.resolve()), status.st_size, status.st_mtime_ns)
            if key not in _unpacked:
                _unpacked[key] = _unpack(path)
        except OSError as error:
            raise OutputError(f"cannot unpack {str(path)!r}: {error.strerror}; {_TEMPORARY}") from error
        return _unpacked[key]


def _unpack(path: Path) -> Path:
    target = temporary_folder()
    try:
        with path.open("rb") as file:
            _check_directory(path, _directory_bytes(file))
            with zipfile.ZipFile(file) as archive:
                entries = _checked(path, archive.infolist())
                _check_space(path, target, entries)
                for entry, name in entries:
                    _write(path, archive, entry, target / name)
    except _DAMAGES as error:
        why = printable(str(error))[:100]
        raise _refused(path, f"one that cannot be read ({why}): make the archive anew") from error
    set_origin(target, str(path))
    return target


def _refused(path: Path, found: str) -> DatasetError:
    return DatasetError(f"expected a ZIP archive of photos at {str(path)!r}, found {found}")


def _directory_bytes(file: BinaryIO) -> int:
    """Size of the list of entries, by the record at the end of the archive; 0 where there is no such record.

    Source: APPNOTE.TXT, ".ZIP File Format Specification", sections 4.3.14 and 4.3.16.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        return 0
    listed = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= _LOCATOR_BYTES and tail[at - _LOCATOR_BYTES : at - 16] == b"PK\x06\x07":
        file.seek(min(size, int.from_bytes(tail[at - 12 : at - 4], "little")))
        longer = file.read(56)
        if longer[:4] == b"PK\x06\x06":
            listed = int.from_bytes(longer[40:48], "little")
    return listed


def _check_directory(path: Path, listed: int) -> None:
    if listed > MAX_DIRECTORY_BYTES:
        raise _refused(path, f"a list of files of {listed / 1e6:,.0f} MB: make several archives")


def _checked(path: Path, infos: Sequence[zipfile.ZipInfo]) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files to unpack and their names; refuses an archive that costs too much or leads elsewhere."""
    if len(infos) > MAX_ENTRIES:
        raise _refused(path, f"{len(infos):,} entries, more than {MAX_ENTRIES:,}: make several archives")
    entries = [(info, _name(path, info)) for info in infos if not info.filename.endswith("/")]
    entries = [(info, name) for info, name in entries if not _left_out(name)]
    total = sum(info.file_size for info, _ in entries)
    if total > MAX_BYTES:
        raise _refused(path, f"{total / 1e9:,.1f} GB, more than {MAX_BYTES / 1e9:g}: make several archives")
    seen: set[PurePosixPath] = set()
    for info, name in entries:
        shown = repr(printable(str(name))[:100])
        if name in seen:
            raise _refused(path, f"two entries named {shown}: make the archive anew")
        if info.file_size > MAX_FILE_BYTES:
            raise _refused(path, f"{shown} of {info.file_size / 1e6:,.0f} MB, more than {MAX_FILE_BYTES / 1e6:g}")
        if info.flag_bits & _ENCRYPTED:
            raise _refused(path, f"the encrypted entry {shown}: make an archive without a password")
        if info.compress_type not in _METHODS:
            raise _refused(path, f"{shown} compressed by another method than deflate: make the archive anew")
        seen.add(name)
    return entries


def _name(path: Path, info: zipfile.ZipInfo) -> PurePosixPath:
    """The name of an entry as a path that stays in the archive."""
    text = info.filename.replace("\\", "/")
    name = PurePosixPath(text)
    shown = repr(printable(info.filename)[:100])
    if name.is_absolute() or ".." in name.parts or ":" in name.parts[:1] or not name.parts or name.parts[0][1:2] == ":":
        raise _refused(path, f"the name {shown}, which leads out of the archive: do not use the archive")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _refused(path, f"the link {shown}: make an archive of the files themselves")
    if len(name.parts) > MAX_DEPTH:
        raise _refused(path, f"folders more than {MAX_DEPTH} deep, in {shown}: make the archive anew")
    return name


def _left_out(name: PurePosixPath) -> bool:
    return name.parts[0] == "__MACOSX" or any(part.startswith(".") for part in name.parts)


def _check_space(path: Path, target: Path, entries: Sequence[tuple[zipfile.ZipInfo, PurePosixPath]]) -> None:
    total, free = sum(info.file_size for info, _ in entries), shutil.disk_usage(target).free
    if total > free:
        raise OutputError(
            f"cannot unpack {str(path)!r}: it needs {total / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free; {_TEMPORARY}"
        )


def _write(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one file. No more is read than the entry says."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, _CHUNK_BYTES)
    except FileExistsError as error:
        raise _refused(path, f"a file and a folder of one name, {printable(entry.filename)[:100]!r}") from error
