"""Features of a photo as columns of a table: fingerprint, embedding, and embeddings of augmented views."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadclear.data.shards.mapping import Columns
from roadclear.features.extractor import fingerprint_kind, view_key
from roadclear.features.space import FeatureSpace
from roadclear.images.augment import PLAIN_VIEW, view
from roadclear.images.decode import decode
from roadclear.images.isolated import decode_isolated
from roadclear.images.phash import fingerprint
from roadclear.images.settings import AugmentSettings

FINGERPRINT = "fingerprint"
_HASHES = 2


def column_of(k: int) -> str:
    """Name the column with the embeddings of the k-th views of photos."""
    return "embedding" if k == PLAIN_VIEW else f"view_{k}"


@dataclass(frozen=True)
class EmbeddingWork:
    """Fingerprint and embeddings of every photo; see `roadclear.data.shards.mapping.PhotoWork`.

    Attributes:
        space: feature space. Its tensor is the embedding.
        augmentation: settings of the augmented views, and their number.
    """

    space: FeatureSpace
    augmentation: AugmentSettings

    @property
    def views(self) -> range:
        """Numbers of the views: 0 is the plain photo."""
        return range(self.augmentation.views + 1)

    @property
    def key(self) -> str:
        """Everything that determines the columns, beside the photo."""
        views = [f"{self.space.key_of(k)} {view_key(k, self.augmentation)}" for k in self.views]
        return "\n".join([fingerprint_kind(self.space.size), *views])

    def fields(self) -> Sequence[tuple[str, Any]]:
        """Names and pyarrow types of the columns."""
        import pyarrow as pa

        (width,) = self.space.shape
        embedding = pa.list_(pa.float32(), width)
        return [(FINGERPRINT, pa.list_(pa.uint64(), _HASHES)), *((column_of(k), embedding) for k in self.views)]

    def open(self, isolated: bool) -> Callable[[bytes, str], Columns]:
        """Open the engines, and make the function from a photo's content and SHA-256 to the columns."""
        read = decode_isolated if isolated else decode
        engines = {self.space.precision_of(k): k for k in self.views}
        opened = {precision: self.space.open(k) for precision, k in engines.items()}

        def compute(content: bytes, sha256: str) -> Columns:
            photo = read(content, self.space.size)
            columns: dict[str, Any] = {FINGERPRINT: fingerprint(photo)}
            for k in self.views:
                pixels = view(photo, sha256, k, self.augmentation)
                found = opened[self.space.precision_of(k)].infer(pixels)[self.space.tensor]
                columns[column_of(k)] = found.astype(np.float32, copy=False)
            return columns

        return compute
