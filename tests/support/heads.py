"""Heads with drawn weights, and model files made of them: everything a test of the artifact needs, untrained."""

import numpy as np

from roadclear.features.backbone.mobilenetv2 import EMBEDDING_CHANNELS
from roadclear.features.backbone.weights import load_weights
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.ood import OodReference
from roadclear.model.heads import HIDDEN_UNITS, DenseHead, Head, LinearHead
from roadclear.model.metadata import ModelFacts
from roadclear.model.onnx_file import build_model_file

KINDS = ("dense", "linear")


def drawn_head(kind: str, seed: int = 0) -> Head:
    """A head as large as a trained one, with weights of a usual size."""
    draw = np.random.default_rng(seed)
    bias = np.float32(draw.normal())
    if kind == "linear":
        return LinearHead(draw.normal(0, 0.1, EMBEDDING_CHANNELS).astype(np.float32), bias)
    return DenseHead(
        draw.normal(0, 0.05, (EMBEDDING_CHANNELS, HIDDEN_UNITS)).astype(np.float32),
        draw.normal(0, 0.2, HIDDEN_UNITS).astype(np.float32),
        draw.normal(0, 0.1, HIDDEN_UNITS).astype(np.float32),
        bias,
    )


def drawn_familiarity(seed: int = 0) -> OodReference:
    """Twenty directions that no photo was seen from."""
    draw = np.random.default_rng(seed)
    references = draw.exponential(1, (20, EMBEDDING_CHANNELS))
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    return OodReference(references.astype(np.float16), 10, 0.5)


def drawn_model(
    kind: str = "dense", size: int = 96, seed: int = 0, threshold: float = 0.5, band: tuple[float, float] = (0.5, 0.5)
) -> bytes:
    """A model file whose head is drawn."""
    weights = load_weights("imagenet")
    familiarity = drawn_familiarity(seed)
    facts = ModelFacts(
        positive="crossing",
        negative="empty",
        threshold=threshold,
        aim="balanced",
        temperature=1.0,
        band=UnsureBand(*band, 0.95),
        distance_limit=familiarity.limit,
        size=size,
        head=kind,
        weights_name=weights.name,
        weights_sha256=weights.sha256,
        weights_origin=weights.origin,
        training={"photos": {"train": 34}, "accuracy": {}},
    )
    return build_model_file(weights, drawn_head(kind, seed), familiarity, facts)
