"""What determines the features of a photo: weights, input size, engine, precision, and tensor of the network."""

from dataclasses import dataclass

import numpy as np

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, tensor_shape
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.features.engine import Engine, engine_key, open_engine
from roadclear.features.precision import BF16, F32, MIXED
from roadclear.images.augment import PLAIN_VIEW

PIPELINE = 2
"""Increased whenever decoding, resizing or views change the pixels that reach the network."""


@dataclass(frozen=True)
class FeatureSpace:
    """Everything that determines the features of a photo's view.

    Attributes:
        weights: weights of the backbone.
        size: side of the square input in pixels, a multiple of 32. Photos are squeezed to the square.
        engine: name of the engine.
        precision: "f32", "bf16" or "mixed". Mixed has embeddings of augmented views in bf16, and all else in f32.
        tensor: name of the network's tensor: "embedding", float32 [1280], or an activation from
            `roadclear.features.backbone.mobilenetv2.trunk_output`, [channels, side, side], cached as float16.
    """

    weights: BackboneWeights
    size: int
    engine: str
    precision: str
    tensor: str = EMBEDDING

    @property
    def key(self) -> str:
        """Key of plain photos in the cache; equal for equal feature spaces."""
        return self.key_of(PLAIN_VIEW)

    def key_of(self, k: int) -> str:
        """Key of the k-th views of photos in the cache."""
        weights = f"mobilenetv2/{self.weights.name}-{self.weights.sha256[:16]}"
        computed = engine_key(self.engine, self.precision_of(k)) + (
            "-recentred" if self.precision_of(k) == BF16 else ""
        )
        whole = f"{weights}/{self.size}px/{computed}/pipeline-{PIPELINE}"
        return whole if self.tensor == EMBEDDING else f"{whole}/{self.tensor}/f16"

    def precision_of(self, k: int) -> str:
        """Precision of the network for the k-th view: "f32" or "bf16"."""
        if self.precision != MIXED:
            return self.precision
        return BF16 if k != PLAIN_VIEW and self.tensor == EMBEDDING else F32

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one photo's features."""
        return tensor_shape(self.tensor, self.size)

    @property
    def stored_type(self) -> type[np.float32] | type[np.float16]:
        """Cache dtype: float32 for embeddings, float16 for activation maps.

        Maps are large, and rounding changes them far less than training does.
        """
        return np.float32 if self.tensor == EMBEDDING else np.float16

    def open(self, k: int = PLAIN_VIEW, output: str | None = None, inner: str | None = None) -> Engine:
        """Open an engine that computes the k-th views of photos.

        Args:
            k: number of the view; 0 is the plain photo.
            output: name of the output to compute, "embedding" or "feature_map"; None for the tensor.
            inner: name of an inner tensor to compute beside the embedding, or None.

        Raises:
            OptionError, EngineError: see `roadclear.features.engine.open_engine`.
        """
        precision = self.precision_of(k)
        outputs = [output or self.tensor, *([inner] if inner is not None else [])]
        return open_engine(self._graph(precision, inner), outputs, self.engine, precision)

    def _graph(self, precision: str, inner: str | None) -> bytes:
        """Build the network up to the tensor, as a serialized ONNX model."""
        # Imported here because cached features need no graph, and onnx takes long to import.
        from roadclear.features.backbone.graph import build, build_trunk
        from roadclear.features.backbone.recentre import recentred

        weights = recentred(self.weights, self.tensor) if precision == BF16 else self.weights
        if self.tensor == EMBEDDING:
            return bytes(build(weights, self.size, inner).SerializeToString())
        return bytes(build_trunk(weights, self.tensor, self.size).SerializeToString())
