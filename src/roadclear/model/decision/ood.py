"""When a photo is like nothing the model was trained on: a cat, a document, noise.

The distance of a photo is 1 - cosine similarity between its vector and the k-th most similar one of the training photos
(Sun, Ming, Zhu and Li 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", section 3). The limit is taken
from validation photos, of which few lie beyond.

The vector is made by frozen layers: fine-tuned ones see two labels in anything. It is the embedding where the whole
base is frozen, else the mean absolute activation of each channel that leaves the frozen part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.utils.arrays import Embeddings

NEIGHBOURS = 10
FALSE_ALARMS = 0.05
LARGEST_REFERENCE = 1000

# What enters the last three blocks has so few places that it does not tell flat colour from a road.
_NOT_WITHIN_BLOCKS = 4


@dataclass(frozen=True, eq=False)
class OodReference:
    """What a model knows of its training photos.

    Attributes:
        references: float16 [m, d], unit vectors of training photos.
        neighbours: the k of the k-th most similar, at most m.
        limit: photos with a larger distance are unfamiliar, 0 to 2.
        tensor: of the network, from which vectors are made: see `ood_layer`.
    """

    references: NDArray[np.float16]
    neighbours: int
    limit: float
    tensor: str = EMBEDDING

    def distances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances float32 [n], 0 to 2, of vectors [n, d]."""
        return _distances(self.references, self.neighbours, vectors)


def ood_layer(unfrozen: int) -> str:
    """Name of the frozen tensor to make vectors from, where the last 0 to 17 inverted residuals are fine-tuned."""
    return trunk_output(max(unfrozen, _NOT_WITHIN_BLOCKS)) if unfrozen else EMBEDDING


def pool_activations(activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors [n, channels] of activations [n, channels, side, side]."""
    return np.asarray(np.abs(activations).mean((2, 3)), dtype=np.float32)


def fit_ood_reference(
    training: NDArray[np.float32], validation: NDArray[np.float32], seed: int, tensor: str = EMBEDDING
) -> OodReference:
    """Remember training photos, at most 1,000 of them drawn, and set the limit.

    Args:
        training: vectors float32 [n, d], of plain photos.
        validation: float32 [m, d]. Of new photos like these, at most 5% lie beyond the limit, by the rank of a new
            photo among m known ones; m of less than 19 can only put it at their largest distance.
        seed: of the draw.
        tensor: from which they are made.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(training))[:LARGEST_REFERENCE])
    references = _unit(training[drawn]).astype(np.float16)
    neighbours = min(NEIGHBOURS, len(references))
    distances = np.sort(_distances(references, neighbours, validation))
    rank = min(len(distances), int(np.ceil((len(distances) + 1) * (1 - FALSE_ALARMS) - 1e-9)))
    return OodReference(references, neighbours, float(distances[rank - 1]), tensor)


def _distances(references: NDArray[np.float16], neighbours: int, embeddings: Embeddings) -> NDArray[np.float32]:
    similarities = _unit(embeddings) @ references.astype(np.float32).T
    place = len(references) - neighbours
    return np.asarray(1 - np.partition(similarities, place, axis=1)[:, place], dtype=np.float32)


def _unit(embeddings: Embeddings) -> Embeddings:
    """Vectors of length 1; an embedding of zeros stays zero."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
