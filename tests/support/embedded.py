"""Drawn embeddings with labels that can be learned, for what trains heads without photos."""

import numpy as np

from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidationData

QUICK = TrainSettings(epochs=3, learning_rate=1e-3)


def drawn_sample(n: int = 90, strength: float = 1.5, seed: int = 0, views: int = 1) -> CrossValidationData:
    """Embeddings of which a few dimensions tell the label; every fifth photo has a double in its group."""
    draw = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    embeddings = draw.normal(size=(n, 1280))
    embeddings[:, :20] += strength * np.where(targets, 1, -1)[:, None] * draw.random((n, 1))
    embeddings = embeddings.astype(np.float32)
    groups = np.where(np.arange(n) % 10 == 2, np.arange(n) - 2, np.arange(n))
    noise = [embeddings + draw.normal(0, 0.1, embeddings.shape).astype(np.float32) for _ in range(views)]
    return CrossValidationData(embeddings, noise, targets.astype(np.int64), groups)
