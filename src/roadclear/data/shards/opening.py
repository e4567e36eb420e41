"""Sources -> shards: tar and Parquet files, folders, ZIP archives and tables, here or by their addresses."""

import csv
import glob
import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from roadclear.data.archive import SUFFIX as ZIP
from roadclear.data.archive import is_archive, unpack
from roadclear.data.dataset import JOURNAL, MANIFEST, SOURCES, SPLIT_FOLDERS, read_tables, unwrap
from roadclear.data.discovery import OUR_TABLES, named_like_a_photo, walk
from roadclear.data.settings import SourceSettings
from roadclear.data.shards.files import deal
from roadclear.data.shards.names import PARQUET, is_shard, is_tar
from roadclear.data.shards.parquet import ParquetShard
from roadclear.data.shards.photo import Shard, ShardPhoto
from roadclear.data.shards.tar import TarShard
from roadclear.data.split import SPLITS
from roadclear.errors import DatasetError
from roadclear.utils.storage import Place, address_of, download, is_folder, join, list_files, name_of
from roadclear.utils.tables import read_records
from roadclear.utils.temporary import temporary_folder

MAX_SHARDS = 1_000_000
"""Largest number of names that a pattern with braces may stand for."""

TABLE = ".csv"
_RESULT = re.compile(r"-[0-9a-f]{16}-[0-9a-f]{12}\.parquet$")
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def open_source(place: Place, columns: SourceSettings | None = None) -> list[Shard]:
    """Find the shards of a source. No photo is read.

    Args:
        place: tar or Parquet file; folder of such files, or of photos; ZIP archive; or CSV table with the columns
            `file` and `label`, beside its files. Each may be a path, or an address with s3://, gs:// or https://.
            Names of tar and Parquet files may hold ranges as {0000..0009} and, at their end, patterns as `*`.
        columns: columns with photos and labels, in Parquet files and tables.

    Raises:
        DatasetError: there is no source, or the table or the archive is damaged.
        OptionError: pyarrow is not installed, or a folder is on a web server.
        OutputError: a temporary copy of an archive cannot be written.
    """
    columns = only_columns(columns)
    places = [found for name in expand(name_of(place)) for found in _matches(name)]
    if len(places) == 1:
        return _open_one(places[0], columns)
    if not places or not all(is_shard(name) for name in places):
        raise DatasetError(f"expected tar or Parquet files at {name_of(place)!r}, found others or none: name them")
    return _shards(places, columns)


def is_sharded(place: Place) -> bool:
    """Whether a place is read by shards: a remote one, a tar or Parquet file, a range of them, or a folder of them."""
    text = name_of(place)
    if address_of(place) is not None or is_shard(text):
        return True
    return os.path.isdir(place) and bool(_shards_inside(place))  # noqa: PTH112, any name may be given


def only_columns(settings: SourceSettings | None) -> SourceSettings:
    """Return the columns of settings that may hold more, such as all settings of a training."""
    if settings is None:
        return SourceSettings()
    return SourceSettings(label_column=settings.label_column, image_column=settings.image_column)


def holds_results(place: Place) -> bool:
    """Whether a folder holds Parquet files that `roadclear.data.shards.mapping` named, and no photos."""
    if not is_folder(place):
        return False
    inside = _shards_inside(place)
    return bool(inside) and all(_RESULT.search(name) for name in inside)


def expand(pattern: str) -> Iterator[str]:
    """Expand ranges in braces, as a shell does.

    Example:
        >>> list(expand("roads-{08..10}.tar"))
        ['roads-08.tar', 'roads-09.tar', 'roads-10.tar']

    Raises:
        DatasetError: the ranges stand for more than a million names.
    """
    names = [pattern]
    while (found := _RANGE.search(names[0])) is not None:
        first, last = int(found[1]), int(found[2])
        numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
        if len(names) * len(numbers) > MAX_SHARDS:
            raise DatasetError(f"expected at most {MAX_SHARDS:,} names, {pattern!r} stands for more: shorten the range")
        width = len(found[1])
        names = [_RANGE.sub(f"{number:0{width}d}", name, count=1) for name in names for number in numbers]
    yield from names


def read_labels(
    table: Path, place: Place, columns: SourceSettings | None = None
) -> Iterator[tuple[int, str, str | None, str | None]]:
    """Rows of a CSV table of labels: number of the line, file, label, and split.

    Args:
        table: path of the table.
        place: place of the table as the user knows it.
        columns: columns with files and labels; the defaults are `file` and `label`.

    Raises:
        DatasetError: the table cannot be read, lacks a column, has an unknown split, or names a file outside its
            folder.
    """
    columns = columns or SourceSettings()
    file_column, label_column = columns.image_column or "file", columns.label_column or "label"
    shown = name_of(place)
    try:
        found, rows = read_records(table)
    except (OSError, csv.Error) as error:
        raise DatasetError(f"expected a CSV table at {shown!r}, found {error}: correct it") from error
    if file_column not in found or label_column not in found:
        raise DatasetError(
            f"expected a table with the columns {file_column!r} and {label_column!r} at {shown!r}, found {found[:10]}: "
            "correct the first line, or name a folder of photos"
        )
    for number, row in enumerate(rows, start=2):
        split = row.get("split") or None
        file = _file(shown, number, row.get(file_column) or "")
        if split is not None and split not in SPLITS:
            raise refused_row(shown, number, f"one of {', '.join(SPLITS)}", repr(split))
        yield number, file, row.get(label_column) or None, split


def refused_row(table: Place, number: int, expected: str, found: str) -> DatasetError:
    """Make the error of a row of a table."""
    return DatasetError(f"expected {expected} in line {number} of {name_of(table)!r}, found {found}: correct the table")


def _open_one(place: str, columns: SourceSettings) -> list[Shard]:
    if is_shard(place):
        if address_of(place) is None and not os.path.isfile(place):  # noqa: PTH113, any name may be given
            raise DatasetError(f"expected a tar or Parquet file, found none at {place!r}: check the name")
        return _shards([place], columns)
    if place.lower().endswith(TABLE):
        return _of_table(place, columns)
    if place.lower().endswith(ZIP):
        local = download(place, PurePosixPath(place).name)
        if not is_archive(local):
            raise DatasetError(f"expected a ZIP archive, found none at {place!r}: check the name")
        return _of_folder(str(unwrap(unpack(local))), PurePosixPath(place).stem)
    if not is_folder(place):
        raise DatasetError(f"expected a folder, a tar, Parquet or CSV file, found none at {place!r}: check the name")
    inside = _shards_inside(place)
    if inside:
        return _shards([join(place, name) for name in inside], columns)
    return _of_folder(place, PurePosixPath(place.rstrip("/")).name or "photos")


def _shards(places: Sequence[str], columns: SourceSettings) -> list[Shard]:
    """Make shards of files. The name of a shard is the file's path below the folder that all have in common."""
    folders = [PurePosixPath(place).parent.as_posix() for place in places]
    common = os.path.commonpath(folders) if len(set(folders)) > 1 else folders[0]
    shards: list[Shard] = []
    for place in places:
        name = _stem(PurePosixPath(place).relative_to(common)).replace("/", "-")
        shards.append(TarShard(name, place, columns) if is_tar(place) else ParquetShard(name, place, columns))
    names = [shard.name for shard in shards]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"expected shards of different names, found {double!r} twice: rename one")
    return shards


def _stem(path: PurePosixPath) -> str:
    """Path without the suffixes of an archive."""
    name = path.name
    for suffix in (*PARQUET, ".gz", ".bz2", ".xz", ".tgz", ".tar"):
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    return path.with_name(name or path.name).as_posix()


def _of_table(place: str, columns: SourceSettings) -> list[Shard]:
    """Shards of the files that a table names."""
    folder, _, name = place.rpartition("/")
    table = download(place, name)
    known = read_tables(table.parent) if address_of(place) is None else {}
    photos: dict[str, ShardPhoto] = {}
    for number, file, label, split in read_labels(table, place, columns):
        photo = ShardPhoto(file, None, label=label, split=split, **known.get(file, {}))
        if photos.setdefault(file, photo) != photo:
            raise refused_row(place, number, "one label and one split a file", f"others for {file!r}")
    here = [(join(folder, file) if folder else file, photos[file]) for file in sorted(photos)]
    return list(deal(PurePosixPath(name).stem, here))


def _of_folder(place: str, name: str) -> list[Shard]:
    """Shards of the files of a folder. A label is the name of the first folder, or of the one in a split's folder."""
    if address_of(place) is None:
        files = [path.relative_to(place).as_posix() for path in walk(Path(place)) if path != Path(place)]
        known = read_tables(Path(place))
    else:
        files = [file for file in list_files(place) if not any(part.startswith(".") for part in file.split("/"))]
        known = _remote_tables(place, files)
    nested = [file for file in files if "/" in file and not file.startswith("__MACOSX/")]
    files = nested or [file for file in files if PurePosixPath(file).name not in OUR_TABLES and not is_shard(file)]
    splits = bool(nested) and all(file.split("/")[0].lower() in SPLIT_FOLDERS for file in nested)
    photos = []
    for file in sorted(files):
        folders = file.split("/")[:-1]
        split = SPLIT_FOLDERS[folders.pop(0).lower()] if splits else None
        if splits and not folders:
            continue
        details = known.get(file, {})
        photo = ShardPhoto(file, None, label=folders[0] if folders else None, split=split, **details)
        photos.append((join(place, file), photo))
    if not photos:
        raise DatasetError(f"expected photos in {place!r}, found none: name a folder that has some")
    return list(deal(name, photos))


def _remote_tables(place: str, files: Sequence[str]) -> dict[str, dict[str, str | None]]:
    """What tables in a remote folder say of its files; see `read_tables`."""
    folder = temporary_folder()
    for name in (MANIFEST, SOURCES, JOURNAL):
        if name in files:
            (folder / name).write_bytes(download(join(place, name), name).read_bytes())
    return read_tables(folder)


def _shards_inside(place: Place) -> list[str]:
    """Tar and Parquet files directly in a folder that holds no photos; none where the folder holds other things."""
    if address_of(place) is None:
        try:
            names = [name for name in os.listdir(place) if not name.startswith(".")]  # noqa: PTH208, any name
        except OSError:  # the folder is refused where its photos are listed
            return []
        # A link that leads to itself is no folder, and no error: `os.path.isdir` says so.
        if any(named_like_a_photo(name) or os.path.isdir(os.path.join(place, name)) for name in names):  # noqa: PTH112, PTH118
            return []
        return sorted(name for name in names if is_shard(name))
    files = list_files(place)
    if any("/" in file or named_like_a_photo(file) for file in files):
        return []
    return [file for file in files if is_shard(file)]


def _matches(name: str) -> list[str]:
    """Names that a pattern stands for; the name itself where it is none."""
    if "*" not in name or not is_shard(name):
        return [name]
    if address_of(name) is None:
        return sorted(glob.glob(name))  # noqa: PTH207, as a shell would
    folder, _, pattern = name.rpartition("/")
    return [join(folder, file) for file in list_files(folder) if "/" not in file and fnmatch(file, pattern)]


def _file(table: str, number: int, given: str) -> str:
    """The file of a row, relative to the table's folder, with forward slashes."""
    name = PurePosixPath(given.replace("\\", "/") if os.name == "nt" else given)
    if not name.parts or name.is_absolute() or ".." in name.parts or "\0" in str(name):
        raise refused_row(table, number, "a path relative to the table's folder", repr(given))
    return name.as_posix()
