"""When a photo is like nothing the model was trained on: a cat, a document, noise.

The distance of a photo is 1 - cosine similarity between its embedding and the k-th most similar training embedding
(Sun, Ming, Zhu and Li 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", section 3). The limit is taken
from validation photos, of which few lie beyond.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.head import Embeddings

NEIGHBOURS = 10
FALSE_ALARMS = 0.05
LARGEST_REFERENCE = 1000


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What a model knows of its training photos.

    Attributes:
        references: float16 [m, 1280], unit vectors of training embeddings.
        neighbours: the k of the k-th most similar, at most m.
        limit: photos with a larger distance are unfamiliar, 0 to 2.
    """

    references: NDArray[np.float16]
    neighbours: int
    limit: float

    def distances(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Distances float32 [n], 0 to 2, of embeddings [n, 1280]."""
        return _distances(self.references, self.neighbours, embeddings)


def fit_familiarity(training: Embeddings, validation: Embeddings, seed: int) -> Familiarity:
    """Remember training embeddings, at most 1,000 of them drawn, and set the limit.

    Args:
        training: float32 [n, 1280], of plain photos.
        validation: float32 [m, 1280]. Of new photos like these, at most 5% lie beyond the limit, by the rank of a new
            photo among m known ones; m of less than 19 can only put it at their largest distance.
        seed: of the draw.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(training))[:LARGEST_REFERENCE])
    references = _unit(training[drawn]).astype(np.float16)
    neighbours = min(NEIGHBOURS, len(references))
    distances = np.sort(_distances(references, neighbours, validation))
    rank = min(len(distances), int(np.ceil((len(distances) + 1) * (1 - FALSE_ALARMS) - 1e-9)))
    return Familiarity(references, neighbours, float(distances[rank - 1]))


def _distances(references: NDArray[np.float16], neighbours: int, embeddings: Embeddings) -> NDArray[np.float32]:
    similarities = _unit(embeddings) @ references.astype(np.float32).T
    place = len(references) - neighbours
    return np.asarray(1 - np.partition(similarities, place, axis=1)[:, place], dtype=np.float32)


def _unit(embeddings: Embeddings) -> Embeddings:
    """Vectors of length 1; an embedding of zeros stays zero."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
