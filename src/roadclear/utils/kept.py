"""Values that take long to compute, kept in the cache folder: one file each, with a checksum.

The folder belongs to the user, and its files are trusted as much as the installed program. The checksum finds damage,
not malice. Deleting a file loses time, never a result.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from roadclear.errors import OutputError
from roadclear.utils.files import write_file
from roadclear.utils.paths import default_cache_path

_PREFIX = "kept-"
_DIGEST_BYTES = 32
_MOST_FILES = 16
"""Files of one kind. A new file takes the place of the one that was used longest ago."""


def kept_path(kind: str, *key: str | bytes) -> Path:
    """Name the file of a value.

    Args:
        kind: kind of the value, a word.
        key: everything that determines the value.
    """
    digest = hashlib.sha256()
    for part in key:
        data = part if isinstance(part, bytes) else part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return default_cache_path().with_name(f"{_PREFIX}{kind}-{digest.hexdigest()[:32]}")


def read_kept(path: Path) -> bytes | None:
    """Read a value; None for a file that is missing, damaged or cannot be read."""
    try:
        with path.open("rb") as file:
            digest, value = file.read(_DIGEST_BYTES), file.read()
    except OSError:
        return None
    if hashlib.sha256(value).digest() != digest:
        return None
    with suppress(OSError):
        os.utime(path)  # the time of the last use
    return value


def keep(path: Path, value: bytes) -> None:
    """Write a value. A folder that cannot be written stays as it is."""
    with suppress(OutputError, OSError):
        write_file(path, hashlib.sha256(value).digest() + value)
        kind = path.name.rsplit("-", 1)[0]
        files = sorted(path.parent.glob(f"{kind}-*"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_MOST_FILES:]:
            file.unlink(missing_ok=True)


def kept_files(folder: Path) -> list[Path]:
    """List the kept values in a cache folder, half-written ones included."""
    return [*folder.glob(f"{_PREFIX}*"), *folder.glob(f".{_PREFIX}*")]
