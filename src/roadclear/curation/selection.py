"""Which unlabelled photos to label next: uncertain ones that differ from each other.

The photos are grouped into as many clusters as labels are wanted, by k-means on unit embeddings, each photo with its
uncertainty as weight: Zhdanov 2019, "Diverse mini-batch Active Learning", arXiv:1901.05954. So there are many small
clusters where the model is uncertain. Of each cluster the most uncertain photo is taken, where the paper takes the
photo nearest to the middle. docs/triage.md compares both with other methods.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.utils.arrays import Bools, Embeddings, Floats, Indices, unit
from roadclear.utils.threads import one_thread

_MOST_CLUSTERS = 100
_STEPS = 20
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class Selection:
    """Photos in the order in which to label them.

    Attributes:
        order: int [m], positions of the photos.
        similar: int [m], number of photos in the cluster of each, the photo included; 0 without clusters.
    """

    order: Indices
    similar: Indices


def choose_next(embeddings: Embeddings, uncertainty: Floats, count: int, seed: int) -> Selection:
    """Choose photos to label, the most uncertain of different clusters first.

    With more than 100 photos wanted there are 100 clusters: the most uncertain photo of each comes first, then the
    second of each, and so on.

    Args:
        embeddings: float32 [n, channels], embeddings of the photos. No two photos should be near copies.
        uncertainty: float64 [n], the higher, the less certain is the model.
        count: number of photos to choose. From n on all photos are ordered by uncertainty alone.
        seed: random seed of the clusters.
    """
    n = len(uncertainty)
    if count >= n:
        return Selection(np.argsort(-uncertainty, kind="stable"), np.zeros(n, np.intp))
    cluster = _clusters(embeddings, uncertainty, min(count, _MOST_CLUSTERS), seed)
    sizes = np.bincount(cluster)
    by_uncertainty = np.argsort(-uncertainty, kind="stable")
    place = np.empty(n, np.intp)  # place of a photo among those of its cluster
    seen = np.zeros(len(sizes), np.intp)
    for i in by_uncertainty.tolist():
        place[i] = seen[cluster[i]]
        seen[cluster[i]] += 1
    order = np.lexsort((-uncertainty, place))[:count]
    return Selection(np.asarray(order), np.asarray(sizes[cluster[order]]))


def uncertainty_of(probability: Floats, threshold: float) -> Floats:
    """Compute how uncertain predictions are, float64 [n]: 1 at the threshold, 0 where the model is sure.

    Args:
        probability: float64 [n], probability of the positive label.
        threshold: least probability of a positive prediction, above 0 and below 1.
    """
    odds, limit = probability * (1 - threshold), (1 - probability) * threshold
    return np.asarray(2 * np.minimum(odds, limit) / np.maximum(odds + limit, np.finfo(np.float64).tiny))


def first_of_groups(groups: Indices, taken: Bools, uncertainty: Floats) -> Bools:
    """Find the most uncertain photo of every group of near copies without a taken photo: bool [n].

    Args:
        groups: int [n], number of the group of near copies of each photo.
        taken: bool [n], photos that have a label.
        uncertainty: float64 [n].
    """
    chosen = np.zeros(len(groups), np.bool_)
    used = set(groups[taken].tolist())
    for i in np.argsort(-uncertainty, kind="stable").tolist():
        if not taken[i] and int(groups[i]) not in used:
            used.add(int(groups[i]))
            chosen[i] = True
    return chosen


def _clusters(embeddings: Embeddings, uncertainty: Floats, count: int, seed: int) -> Indices:
    # Imported here, because the other ways through triage need no clusters.
    from sklearn.cluster import KMeans

    with one_thread():
        means = KMeans(count, n_init=1, max_iter=_STEPS, random_state=seed)
        found = means.fit_predict(unit(embeddings), sample_weight=uncertainty + _LEAST_WEIGHT)
    return np.asarray(found, dtype=np.intp)
