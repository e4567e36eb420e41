"""Rows of Parquet files that were made of shards -> labelled photos."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.shards.mapping import SUFFIX, read_columns
from roadclear.data.shards.photo import DETAILS
from roadclear.errors import DatasetError
from roadclear.images.decode import UnreadablePhoto
from roadclear.utils.storage import Place, join, list_files, name_of


@dataclass(frozen=True)
class ShardRows:
    """Rows of a file, without the columns of the work.

    Attributes:
        place: path or address of the file.
        photos: photos with a label and a SHA-256.
        hashes: SHA-256 of each of them.
        usable: SHA-256 of all rows without an error, in their order.
        skipped: photos with an error or without a label, with reasons.
    """

    place: str
    photos: tuple[LabelledPhoto, ...]
    hashes: tuple[str, ...]
    usable: tuple[str, ...]
    skipped: tuple[UnreadablePhoto, ...]


def read_rows(place: str, root: Path) -> ShardRows:
    """Read the photos of a file.

    Args:
        place: path or address of the file.
        root: folder or address of the source, in which the photos have their paths.

    Raises:
        UnavailableError, OptionError: see `roadclear.data.shards.mapping.read_columns`.
    """
    columns = read_columns(place, ["id", "sha256", *DETAILS, "error"]).to_pydict()
    photos: list[LabelledPhoto] = []
    hashes: list[str] = []
    skipped: list[UnreadablePhoto] = []
    for number, (name, sha256, error) in enumerate(
        zip(columns["id"], columns["sha256"], columns["error"], strict=True)
    ):
        details = {detail: columns[detail][number] for detail in DETAILS}
        if error is None and details["label"]:
            # Equal texts are held once: a label is that of half a million photos.
            shared: dict[str, Any] = {detail: text and sys.intern(text) for detail, text in details.items()}
            photos.append(LabelledPhoto(root / name, name, **shared))
            hashes.append(sha256)
        else:
            skipped.append(UnreadablePhoto(Path(name), error or "it has no label"))
    rows = zip(columns["sha256"], columns["error"], strict=True)
    usable = tuple(sha256 for sha256, error in rows if error is None)
    return ShardRows(place, tuple(photos), tuple(hashes), usable, tuple(skipped))


def find_rows(folder: Place, key: str) -> list[str]:
    """Find the Parquet files in a folder that were made with a key.

    Args:
        folder: path or address.
        key: key of the work, as `roadclear.data.shards.mapping.short_key` makes it.

    Raises:
        DatasetError: there is none.
        UnavailableError, OptionError: the folder cannot be listed.
    """
    files = [file for file in list_files(folder) if file.endswith(SUFFIX) and "/" not in file]
    found = [join(folder, file) for file in files if file.endswith(f"-{key}{SUFFIX}")]
    if not found:
        others = f"{len(files):,} files of other options" if files else "no Parquet file"
        raise DatasetError(
            f"expected features of these options in {name_of(folder)!r}, found {others}: run roadclear extract with "
            "the same options, or name the photos too"
        )
    return found


def check_unique(rows: Sequence[ShardRows]) -> None:
    """Refuse two rows of one photo, as an older and a newer file of one shard have them.

    Raises:
        DatasetError: a photo is in two files.
    """
    seen: dict[str, str] = {}
    for shard in rows:
        for name in (*(photo.file for photo in shard.photos), *(str(one.file) for one in shard.skipped)):
            other = seen.setdefault(name, shard.place)
            if other != shard.place:
                raise DatasetError(
                    f"expected every photo once, found {name!r} in {other!r} and in {shard.place!r}: delete the older "
                    "file, or name the photos too"
                )
