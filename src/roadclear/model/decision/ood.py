"""Unfamiliar photos (out of distribution): photos unlike all training photos, such as a cat, a document or noise.

Each photo has a vector and a distance. Validation photos set the limit of the distance: few lie beyond.

With a frozen base the vector is the embedding, and the distance is 1 - cosine similarity to the k-th most similar
training vector (Sun, Ming, Zhu and Li 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors", section 3).

Fine-tuned layers see one of the two labels in any photo, so a fine-tuned base has vectors of a frozen layer: the mean
absolute activation of each channel. They differ little between photos, and in few directions. So the distance is that
of Mahalanobis to the mean of the training vectors (Lee et al. 2018, "A Simple Unified Framework for Detecting
Out-of-Distribution Samples and Adversarial Attacks", section 2, here for all photos as one class). At equal false
alarms it finds more photos of other views than neighbours do: docs/promise.md has the measurements.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.utils.arrays import Embeddings, unit
from roadclear.utils.rows import Rows, by_blocks

NEIGHBOURS = 10
FALSE_ALARMS = 0.05
LARGEST_REFERENCE = 1000
_PHOTOS_AT_A_TIME = 4096
_SHRINKAGE = 0.1
_LEAST_VARIANCE = 1e-12

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

    def distances(self, vectors: Rows) -> NDArray[np.float32]:
        """Compute distances, float32 [n] from 0 to 2, of vectors [n, d]."""
        return _distances(self.references, self.neighbours, vectors)


@dataclass(frozen=True, eq=False)
class OodGaussian:
    """Mean and spread of training vectors, and the limit of the distance.

    Attributes:
        mean: mean of the training vectors, float32 [d].
        whitening: matrix that makes training vectors uncorrelated, with a mean squared length near 1, float32 [d, d].
        limit: largest distance of a familiar photo, 0 to 2.
        tensor: name of the network's tensor behind the vectors, see `ood_layer`.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    limit: float
    tensor: str

    def distances(self, vectors: Rows) -> NDArray[np.float32]:
        """Compute distances, float32 [n] from 0 to 2, of vectors [n, d]; about 1 for a common training photo.

        The distance is 2 m / (1 + m), where m is the squared Mahalanobis distance divided by d.
        """
        lengths = np.linalg.norm((vectors[:] - self.mean) @ self.whitening, axis=1)
        return np.asarray(2 * (lengths**2 / (1 + lengths**2)), dtype=np.float32)


Ood = OodReference | OodGaussian
"""Distance to the training photos, with its limit."""


def ood_layer(unfrozen: int) -> str:
    """Name the frozen tensor behind the vectors, when the last 0 to 17 inverted residuals are fine-tuned."""
    return trunk_output(max(unfrozen, _NOT_WITHIN_BLOCKS)) if unfrozen else EMBEDDING


def pool_activations(activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute vectors float32 [n, channels] of activations [n, channels, side, side]: mean absolute values."""
    return np.asarray(np.abs(activations).mean((2, 3)), dtype=np.float32)


def fit_ood(training: Rows, validation: Rows, seed: int, tensor: str = EMBEDDING) -> Ood:
    """Describe the training photos, and set the limit of the distance.

    Of embeddings at most 1,000 are drawn as references. Vectors of an inner layer give their mean and covariance, which
    is shrunk by a tenth towards equal variances without correlation.

    At most 5% of new photos like the validation photos lie beyond the limit, by the rank of a new photo among m known
    photos. With fewer than 19 validation photos the limit is their largest distance.

    Args:
        training: vectors of plain training photos, float32 [n, d].
        validation: vectors of plain validation photos, float32 [m, d].
        seed: random seed of the draw.
        tensor: name of the network's tensor behind the vectors.
    """
    if tensor == EMBEDDING:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(training))[:LARGEST_REFERENCE])
        references = unit(training[drawn]).astype(np.float16)
        found: Ood = OodReference(references, min(NEIGHBOURS, len(references)), 2.0, tensor)
    else:
        whole = training[:]
        found = OodGaussian(whole.mean(axis=0), _whitening(whole), 2.0, tensor)
    distances = np.sort(found.distances(validation))
    rank = min(len(distances), int(np.ceil((len(distances) + 1) * (1 - FALSE_ALARMS) - 1e-9)))
    return replace(found, limit=float(distances[rank - 1]))


def _whitening(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the whitening matrix [d, d] of vectors [n, d], divided by the square root of d."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / max(len(vectors) - 1, 1)
    size = len(covariance)
    level = max(float(np.trace(covariance)) / size, _LEAST_VARIANCE)
    variances, directions = np.linalg.eigh((1 - _SHRINKAGE) * covariance + _SHRINKAGE * level * np.eye(size))
    return np.asarray(directions / np.sqrt(variances * size), dtype=np.float32)


def _distances(references: NDArray[np.float16], neighbours: int, embeddings: Rows) -> NDArray[np.float32]:
    # The products of all photos with all references at once would take 4 KB a photo, and unit vectors another 5 KB.
    known = references.astype(np.float32).T
    rank = len(references) - neighbours

    def of(some: Embeddings) -> NDArray[np.float32]:
        return np.asarray(1 - np.partition(unit(some) @ known, rank, axis=1)[:, rank])

    return by_blocks(of, embeddings, _PHOTOS_AT_A_TIME)
