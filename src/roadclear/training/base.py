"""The frozen base of a training: published weights, or the backbone of an earlier model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.decoded import MAX_KEPT_BYTES, DecodedPhotos
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.precision import resolve_precision
from roadclear.features.settings import DEFAULT_SIZE
from roadclear.features.space import FeatureSpace
from roadclear.training.config import AUTO, DEPTHS, FinetuneSettings, PrepareSettings
from roadclear.training.start import Start, open_start
from roadclear.utils.arrays import Bools


@dataclass(frozen=True, eq=False)
class Base:
    """The frozen base of a training.

    Attributes:
        extractor: extractor of the base's embeddings.
        start: earlier model whose backbone is the base; None for published weights.
    """

    extractor: FeatureExtractor
    start: Start | None = None

    def has_seen(self, hashes: Sequence[str]) -> Bools:
        """Find photos that the start was trained on: bool [n]."""
        return self.start.has_seen(hashes) if self.start is not None else np.zeros(len(hashes), np.bool_)


def open_base(settings: PrepareSettings, cache: FeatureCache) -> Base:
    """Open the frozen base: published weights, or the backbone of an earlier model.

    The size of the input is that of the settings, else that of the earlier model, else 224 pixels.

    Raises:
        OptionError, ModelFileError: see `roadclear.training.start.open_start`.
        WeightsError: see `roadclear.features.backbone.weights.load_weights`.
    """
    start = open_start(settings)
    if start is None:
        file = Path(settings.weights_file) if settings.weights_file is not None else None
        weights = load_weights(settings.weights, file, settings.download_weights)
    else:
        weights = start.weights
    size = settings.size or (DEFAULT_SIZE if start is None else start.facts.size)
    space = FeatureSpace(weights, size, settings.engine, resolve_precision(settings.precision, settings.engine))
    # Training photos are read twice: for the groups and the split, and then for their views.
    decoded = DecodedPhotos(MAX_KEPT_BYTES if settings.views else 0)
    inner = _inner_tensor(settings, start)
    return Base(FeatureExtractor(space, settings, cache, decoded=decoded, inner=inner), start)


def _inner_tensor(settings: PrepareSettings, start: Start | None) -> str | None:
    """Name the tensor that is read beside the embedding: by fine-tuning, or for the distance of a fine-tuned start."""
    if not isinstance(settings, FinetuneSettings):
        return None
    if settings.unfreeze == 0:
        return start.ood_tensor if start is not None and start.ood_tensor != EMBEDDING else None
    return trunk_output(DEPTHS[0] if settings.unfreeze == AUTO else int(settings.unfreeze))
