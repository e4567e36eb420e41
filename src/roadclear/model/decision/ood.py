"""Unfamiliar photos (out of distribution): photos unlike all training photos, such as a cat, a document or noise.

The distance of a photo is 1 - cosine similarity between its vector and the k-th most similar training vector (Sun,
Ming, Zhu and Li 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", section 3). Validation photos set
the limit: few lie beyond.

Vectors come from frozen layers, because fine-tuned layers see one of the two labels in any photo. With a frozen base
the vector is the embedding. Otherwise the vector is the mean absolute activation of each channel of a frozen layer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.utils.arrays import Embeddings, unit

NEIGHBOURS = 10
FALSE_ALARMS = 0.05
LARGEST_REFERENCE = 1000
_PHOTOS_AT_A_TIME = 4096

# Vectors never come from inside the last three blocks: their input has too few cells to distinguish flat colour from a
# road.
_NOT_WITHIN_BLOCKS = 4


@dataclass(frozen=True, eq=False)
class OodReference:
    """Reference vectors of training photos, and the limit of the distance.

    Attributes:
        references: unit vectors of training photos, float16 [m, d].
        neighbours: rank k of the neighbour that gives the distance, at most m.
        limit: largest distance of a familiar photo, 0 to 2.
        tensor: name of the network's tensor behind the vectors, see `ood_layer`.
    """

    references: NDArray[np.float16]
    neighbours: int
    limit: float
    tensor: str = EMBEDDING

    def distances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute distances, float32 [n] from 0 to 2, of vectors [n, d]."""
        return _distances(self.references, self.neighbours, vectors)


def ood_layer(unfrozen: int) -> str:
    """Name the frozen tensor behind the vectors, when the last 0 to 17 inverted residuals are fine-tuned."""
    return trunk_output(max(unfrozen, _NOT_WITHIN_BLOCKS)) if unfrozen else EMBEDDING


def pool_activations(activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute vectors float32 [n, channels] of activations [n, channels, side, side]: mean absolute values."""
    return np.asarray(np.abs(activations).mean((2, 3)), dtype=np.float32)


def fit_ood_reference(
    training: NDArray[np.float32], validation: NDArray[np.float32], seed: int, tensor: str = EMBEDDING
) -> OodReference:
    """Draw at most 1,000 training photos as references, and set the limit.

    At most 5% of new photos like the validation photos lie beyond the limit, by the rank of a new photo among m known
    photos. With fewer than 19 validation photos the limit is their largest distance.

    Args:
        training: vectors of plain training photos, float32 [n, d].
        validation: vectors of plain validation photos, float32 [m, d].
        seed: random seed of the draw.
        tensor: name of the network's tensor behind the vectors.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(training))[:LARGEST_REFERENCE])
    references = unit(training[drawn]).astype(np.float16)
    neighbours = min(NEIGHBOURS, len(references))
    distances = np.sort(_distances(references, neighbours, validation))
    rank = min(len(distances), int(np.ceil((len(distances) + 1) * (1 - FALSE_ALARMS) - 1e-9)))
    return OodReference(references, neighbours, float(distances[rank - 1]), tensor)


def _distances(references: NDArray[np.float16], neighbours: int, embeddings: Embeddings) -> NDArray[np.float32]:
    # The products of all photos with all references at once would take 4 KB a photo, and unit vectors another 5 KB.
    known = references.astype(np.float32).T
    rank = len(references) - neighbours
    distances = np.empty(len(embeddings), dtype=np.float32)
    for start in range(0, len(embeddings), _PHOTOS_AT_A_TIME):
        some = slice(start, start + _PHOTOS_AT_A_TIME)
        distances[some] = 1 - np.partition(unit(embeddings[some]) @ known, rank, axis=1)[:, rank]
    return distances
