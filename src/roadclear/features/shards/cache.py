"""Features of Parquet shards, in the place of the feature cache: a training finds every photo computed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.data.shards.mapping import read_columns
from roadclear.errors import PhotoError
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import fingerprint_kind, view_key
from roadclear.features.shards.work import FINGERPRINT, EmbeddingWork, column_of
from roadclear.features.store import Key

_PLAIN = "plain"


class ShardCache(FeatureCache):
    """Feature cache whose photos are the rows of Parquet shards.

    One column of one shard is in memory at a time, beside the result. Other features are kept in a temporary file.

    Args:
        work: what the shards hold.
        contents: path of every photo -> its SHA-256, or why the photo is unusable.
    """

    def __init__(self, work: EmbeddingWork, contents: dict[Path, str | PhotoError]) -> None:
        super().__init__(None)
        self._contents = contents
        self._places: dict[str, tuple[str, int]] = {}
        self._columns = {(fingerprint_kind(work.space.size), _PLAIN): FINGERPRINT}
        self._columns |= {(work.space.key_of(k), view_key(k, work.augmentation)): column_of(k) for k in work.views}

    def add(self, place: str, photos: Sequence[str]) -> None:
        """Add a shard.

        Args:
            place: path or address of the Parquet file.
            photos: SHA-256 of the usable photos, in the order of their rows.
        """
        for row, photo in enumerate(photos):
            self._places.setdefault(photo, (place, row))

    def known(self, path: Path) -> str | PhotoError | None:
        """Say what the shards know of a photo's file."""
        return self._contents.get(path)

    def __contains__(self, key: Key) -> bool:
        """Whether the shards, or the temporary file, have a feature."""
        photo, kind, view = key
        return ((kind, view) in self._columns and photo in self._places) or super().__contains__(key)

    def _load(
        self,
        photos: Sequence[str],
        kind: str,
        view: str,
        dtype: type[np.generic],
        restore: Callable[[str], NDArray[Any]] | None,
        make: Callable[[tuple[int, int]], Any],
    ) -> Any:
        """Load features shard by shard; see `FeatureCache._load`.

        Raises:
            UnavailableError: a shard can no longer be read.
        """
        column = self._columns.get((kind, view))
        if column is None or any(photo not in self._places for photo in photos):
            return super()._load(photos, kind, view, dtype, restore, make)
        result = make((len(photos), 0))
        for places, found in self._read(photos, column):
            if result.shape[1] == 0:
                result = make((len(photos), found.shape[1]))
            result[places] = found
        return result

    def _read(self, photos: Sequence[str], column: str) -> Iterator[tuple[NDArray[np.intp], NDArray[np.generic]]]:
        """Read the rows of photos, shard by shard: positions among the photos, and values [m, d]."""
        wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for position, photo in enumerate(photos):
            place, row = self._places[photo]
            wanted[place].append((position, row))
        for place, pairs in wanted.items():
            positions, rows = np.array(pairs, dtype=np.intp).T
            lists = read_columns(place, [column]).column(0).combine_chunks()
            # Rows without a photo are empty, and are left out here.
            yield positions, lists.flatten().to_numpy().reshape(-1, lists.type.list_size)[rows]
