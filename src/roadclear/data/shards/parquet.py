"""Parquet shards: a table with a photo's bytes in every row, and a label.

Photos are bytes, or a record with the field `bytes`, as Hugging Face Datasets writes them. Labels are text or whole
numbers. Numbers become names where the file says which names it means, as Hugging Face Datasets writes them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadclear.data.settings import SourceSettings
from roadclear.data.shards.photo import DETAILS, OpenShard, ShardPhoto, at_most, with_columns
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.storage import local_copy
from roadclear.utils.text import printable

_IMAGES = ("image", "photo", "jpg", "bytes", "content")
_LABELS = ("label", "labels", "class", "cls")
_IDS = ("id", "file", "path", "filename", "__key__")
_ROWS = 16
"""Rows that are read at a time. A row is a photo of up to `MAX_FILE_BYTES`, and usually of 0.1 to 5 MB."""


@dataclass(frozen=True)
class ParquetShard:
    """Parquet file of photos.

    Attributes:
        name: name of the shard, and first part of its photos' ids.
        address: path or address of the file.
        columns: columns with photos and labels.
    """

    name: str
    address: str
    columns: SourceSettings

    @contextmanager
    def open(self) -> Iterator[OpenShard]:
        """Open the file; see `roadclear.data.shards.photo.Shard`.

        Raises:
            DatasetError: the file lacks a column.
        """
        with local_copy(self.address) as (path, sha256):
            chosen = with_columns(sha256, self.columns.label_column, self.columns.image_column)
            yield OpenShard(chosen, self._photos(path))

    def _photos(self, path: Path) -> Iterator[ShardPhoto]:
        """Photos of the file. Where the file is damaged, the last entry says so."""
        number = 0
        pq = parquet_module()
        from pyarrow import ArrowException

        try:
            # Columns are not mapped: a file that is cut short while it is read must not end the process.
            with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
                chosen = self._choose(file.schema_arrow)
                names = label_names(file.schema_arrow, chosen["label"]) if "label" in chosen else ()
                for batch in file.iter_batches(_ROWS, columns=sorted(set(chosen.values()))):
                    for row in batch.to_pylist():
                        yield self._photo(number, {key: row[column] for key, column in chosen.items()}, names)
                        number += 1
        except (ArrowException, OSError) as error:
            found = printable(" ".join(str(error).split()))[:100]
            yield ShardPhoto(self.name, None, f"the shard is cut short or damaged after {number:,} rows ({found})")

    def _choose(self, schema: Any) -> dict[str, str]:
        """Column by its meaning: "image", "id" and those of `DETAILS`; the last where they are there."""
        columns: list[str] = schema.names
        image, label = self.columns.image_column, self.columns.label_column
        chosen = {"image": image or self._first(columns, _IMAGES, "--image-column")}
        for name in filter(None, (image, label)):
            if name not in columns:
                raise self._lacks(columns, repr(name), "name one of them")
        chosen |= {name: name for name in DETAILS if name in columns and _is_text(schema.field(name).type)}
        found = label or next((name for name in _LABELS if name in columns), None)
        chosen |= {"label": found} if found is not None else {}
        known = next((name for name in _IDS if name in columns and _is_text(schema.field(name).type)), None)
        return chosen | ({"id": known} if known is not None else {})

    def _first(self, columns: Sequence[str], names: Sequence[str], option: str) -> str:
        found = next((name for name in names if name in columns), None)
        if found is None:
            advice = "train with --features" if "embedding" in columns else f"name one with {option}"
            raise self._lacks(columns, f"one of {', '.join(names)}", advice)
        return found

    def _lacks(self, columns: Sequence[str], expected: str, advice: str) -> DatasetError:
        return DatasetError(
            f"expected the column {expected} in {self.address!r}, found {', '.join(columns[:20])}: {advice}"
        )

    def _photo(self, number: int, row: Mapping[str, Any], names: Sequence[str]) -> ShardPhoto:
        image = row["image"]
        found = image.get("bytes") if isinstance(image, Mapping) else image
        content, reason = at_most(found) if isinstance(found, bytes) and found else (None, "the row has no photo")
        details = {name: str(row[name]) for name in DETAILS if row.get(name) is not None}
        if isinstance(row.get("label"), int) and 0 <= row["label"] < len(names):
            details["label"] = names[row["label"]]
        name = printable(str(row.get("id") or f"{number:07d}"))
        return ShardPhoto(f"{self.name}/{name}", content, reason, **details)


def parquet_module() -> Any:
    """Import pyarrow's reader and writer of Parquet files.

    Raises:
        OptionError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise OptionError("Parquet files need pyarrow: pip install 'roadclear[parquet]'") from error
    return pyarrow.parquet


def label_names(schema: Any, column: str) -> tuple[str, ...]:
    """Names of a column of numbers, where Hugging Face Datasets wrote them; else none."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        written = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, written["info"]["features"][column]["names"]))
    return ()


def _is_text(kind: Any) -> bool:
    import pyarrow.types

    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))
