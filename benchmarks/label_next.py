"""Which unlabelled photos to label next: photos needed for the same accuracy, by method, against random order.

    python benchmarks/label_next.py PHOTOS [--draws 25]

A third of the photos, by whole groups, is held back for testing in every draw. Of the rest some photos have a label
from the start. A method chooses photos, their labels are revealed, and a new linear head is tested. The methods of one
draw see the same photos. Embeddings come from the cache, so that a draw takes a fraction of a second.

Three tables: batches of 10 from few labels on; one list of 50 that is labelled in its order; and the same list where
crossings are rare, one to ten empty roads.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans

from machine import describe, table
from roadclear.curation.selection import choose_next, first_of_groups, uncertainty_of
from roadclear.curation.unlabelled import STRENGTH
from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache
from roadclear.model.heads import LinearHead, balanced_weights, probabilities
from roadclear.model.logistic import Problems, solve
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData, prepare
from roadclear.utils.arrays import unit
from roadclear.utils.paths import default_cache_path
from roadclear.utils.threads import one_thread

BATCH, MORE, LISTED = 10, 100, 50
STARTS = (10, 20, 40)
RARE = 0.1


@dataclass(frozen=True)
class Moment:
    """What a method knows: embeddings of the candidates [n] and of the labelled photos, P(positive), a generator."""

    candidates: np.ndarray
    labelled: np.ndarray
    probability: np.ndarray
    clusters: np.ndarray
    draw: np.random.Generator

    @property
    def uncertainty(self) -> np.ndarray:
        """Uncertainty [n] of the candidates."""
        return uncertainty_of(self.probability, 0.5)


Method = Callable[[Moment, int], Sequence[int]]


def at_random(moment: Moment, count: int) -> Sequence[int]:
    return moment.draw.permutation(len(moment.candidates))[:count].tolist()


def uncertain(moment: Moment, count: int) -> Sequence[int]:
    return np.argsort(-moment.uncertainty, kind="stable")[:count].tolist()


def core_set(moment: Moment, count: int) -> Sequence[int]:
    """Farthest first: Sener and Savarese 2018, arXiv:1708.00489."""
    return spread_out(
        moment.candidates, nearest(moment.candidates, moment.labelled), count, lambda far: int(far.argmax())
    )


def weighted_seeding(moment: Moment, count: int) -> Sequence[int]:
    """k-means++ (Arthur and Vassilvitskii 2007) with squared distances times uncertainty."""
    weights = moment.uncertainty
    distances = nearest(moment.candidates, moment.labelled)
    return spread_out(moment.candidates, distances, count, lambda far: drawn(moment.draw, far * weights))


def badge(moment: Moment, count: int) -> Sequence[int]:
    """k-means++ on gradient embeddings: Ash et al. 2020, arXiv:1906.03671."""
    gradients = (moment.probability - (moment.probability >= 0.5))[:, None] * moment.candidates
    norms = (gradients**2).sum(axis=1)
    return spread_out(gradients, norms, count, lambda far: drawn(moment.draw, far))


def cluster_margin(moment: Moment, count: int) -> Sequence[int]:
    """Round robin over clusters of the 10 * count most uncertain, small clusters first: Citovsky et al. 2021."""
    likely = np.argsort(-moment.uncertainty, kind="stable")[: 10 * count]
    members = [likely[moment.clusters[likely] == c].tolist() for c in np.unique(moment.clusters[likely])]
    for each in members:
        moment.draw.shuffle(each)
    members.sort(key=len)
    turns = [each[turn] for turn in range(max(map(len, members))) for each in members if turn < len(each)]
    return turns[:count]


def weighted_k_means(moment: Moment, count: int) -> Sequence[int]:
    """Nearest photos to the centres of the 10 * count most uncertain: Zhdanov 2019, arXiv:1901.05954."""
    likely = np.argsort(-moment.uncertainty, kind="stable")[: 10 * count]
    rows = moment.candidates[likely]
    found = KMeans(count, n_init=1, max_iter=20, random_state=int(moment.draw.integers(2**31)))
    found.fit(rows, sample_weight=moment.uncertainty[likely] + 1e-6)
    chosen = dict.fromkeys(likely[np.argmin(distances(rows, found.cluster_centers_), axis=0)].tolist())
    return [*chosen, *(i for i in likely.tolist() if i not in chosen)][:count]


def typiclust(moment: Moment, count: int) -> Sequence[int]:
    """The most typical photo of the largest clusters without a label: Hacohen et al. 2022, arXiv:2202.02794."""
    rows = np.concatenate([moment.labelled, moment.candidates])
    known, number = len(moment.labelled), min(len(moment.labelled) + count, 100)
    cluster = KMeans(number, n_init=1, max_iter=20, random_state=int(moment.draw.integers(2**31))).fit_predict(rows)
    labels = np.bincount(cluster[:known], minlength=number)
    chosen: list[int] = []
    while len(chosen) < count:
        free = [np.setdiff1d(np.flatnonzero(cluster[known:] == c), chosen) for c in range(number)]
        best = min((c for c in range(number) if len(free[c])), key=lambda c: (labels[c], -np.sum(cluster == c)))
        members = rows[cluster == best]
        far = np.sort(distances(moment.candidates[free[best]], members), axis=1)[:, 1:21]
        chosen.append(int(free[best][np.argmin(far.mean(axis=1)) if far.shape[1] else 0]))
        labels[best] += 1
    return chosen


def roadclear(moment: Moment, count: int) -> Sequence[int]:
    found = choose_next(moment.candidates, moment.uncertainty, count, int(moment.draw.integers(2**31)))
    return found.order.tolist()


# Whether near copies of each other and of labelled photos are left out before a method chooses.
METHODS: dict[str, tuple[Method, bool]] = {
    "random order": (at_random, False),
    "random, no near copies": (at_random, True),
    "uncertainty alone": (uncertain, False),
    "uncertainty, no near copies": (uncertain, True),
    "core-set": (core_set, True),
    "k-means++ weighted by uncertainty": (weighted_seeding, True),
    "BADGE": (badge, True),
    "Cluster-Margin": (cluster_margin, True),
    "weighted k-means, nearest to the centre": (weighted_k_means, True),
    "TypiClust": (typiclust, True),
    "**weighted k-means, most uncertain** (`triage`)": (roadclear, True),
}
RANDOM = next(iter(METHODS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--draws", type=int, default=25)
    arguments = parser.parse_args()
    print(describe("scikit-learn", "numpy", "openvino"))
    with open_cache(default_cache_path()) as features:
        data = prepare(load_folder(arguments.photos), TrainSettings(views=0), features)
    started = time.process_time()
    with one_thread():
        for start in STARTS:
            slow = ("TypiClust",) if start > STARTS[0] else ()  # it is for few labels
            names = [name for name in METHODS if name not in slow]
            curves = {name: run(data, name, start, BATCH, MORE, arguments.draws) for name in names}
            print(f"\n{start} labels, then batches of {BATCH}: accuracy in %, {arguments.draws} draws\n")
            print(report(curves, start))
        for rare in (None, RARE):
            names = [name for name in METHODS if name != "TypiClust"]
            curves = {name: run(data, name, 20, LISTED, LISTED, arguments.draws, rare) for name in names}
            print(
                f"\n20 labels, one list of {LISTED}" + (f", crossings {rare:.0%} of empty roads" if rare else "") + "\n"
            )
            print(report(curves, 20))
    print(f"\n{time.process_time() - started:.0f} s of processor time")


def run(
    data: PreparedData, name: str, start: int, batch: int, more: int, draws: int, rare: float | None = None
) -> np.ndarray:
    """Balanced accuracy [draws, 1 + more / 10] after every ten labels."""
    return np.array([one_draw(data, name, start, batch, more, seed, rare) for seed in range(draws)])


def one_draw(
    data: PreparedData, name: str, start: int, batch: int, more: int, seed: int, rare: float | None
) -> list[float]:
    method, without_copies = METHODS[name]
    draw = np.random.default_rng([seed, start])
    pool, test = hold_back(data, seed)
    if rare is not None:
        positive = draw.permutation(pool[data.targets[pool] == 1])
        negative = pool[data.targets[pool] == 0]
        pool = np.concatenate([negative, positive[: round(rare * len(negative))]])
    pool = draw.permutation(pool)
    labelled = pool[:start].tolist()
    missing = {0, 1} - set(data.targets[labelled].tolist())
    for target in missing:
        labelled[-1] = next(i for i in pool.tolist() if data.targets[i] == target)
    accuracies = [accuracy(data, fit(data, labelled), test)]
    while len(labelled) < start + more:
        head = fit(data, labelled)
        probability = probabilities(head, data.embeddings)
        taken = np.zeros(len(data.targets), np.bool_)
        taken[labelled] = True
        free = np.zeros_like(taken)
        free[pool] = True
        free &= ~taken
        if without_copies:
            groups = np.where(free | taken, data.look_alikes, -1 - np.arange(len(taken)))
            free &= first_of_groups(groups, taken, uncertainty_of(probability, 0.5))
        candidates = np.flatnonzero(free)
        rows = directions(data)
        moment = Moment(rows[candidates], rows[labelled], probability[candidates], clusters(data)[candidates], draw)
        chosen = candidates[list(method(moment, batch))].tolist()
        for ten in range(0, batch, BATCH):
            labelled += chosen[ten : ten + BATCH]
            accuracies.append(accuracy(data, fit(data, labelled), test))
    return accuracies


def hold_back(data: PreparedData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The pool, and a third of the photos by whole groups."""
    order = np.random.default_rng(seed).permutation(data.groups.max() + 1)
    sizes = np.bincount(data.groups, minlength=len(order))[order]
    tested = np.isin(data.groups, order[np.cumsum(sizes) - sizes < len(data.groups) / 3])
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def fit(data: PreparedData, labelled: Sequence[int]) -> LinearHead:
    targets = data.targets[labelled]
    problem = Problems([data.embeddings[labelled]], targets, balanced_weights(targets)[:, None], np.array([STRENGTH]))
    kernel, bias = solve(problem)
    return LinearHead(kernel[:, 0].astype(np.float32), np.float32(bias[0]))


def accuracy(data: PreparedData, head: LinearHead, test: np.ndarray) -> float:
    right = (head.logits(data.embeddings[test]) > 0) == (data.targets[test] == 1)
    return 100 * float(np.mean([right[data.targets[test] == target].mean() for target in (0, 1)]))


def report(curves: dict[str, np.ndarray], start: int) -> str:
    """Accuracy at the end; mean difference to random order over the curve; labels for random order's last accuracy."""
    last = curves[RANDOM][:, -1].mean()
    rows = []
    for name, curve in curves.items():
        difference = (curve - curves[RANDOM])[:, 1:].mean(axis=1)
        margin = 1.96 * difference.std(ddof=1) / len(difference) ** 0.5
        gain = "" if name == RANDOM else f"{difference.mean():+.1f} ± {margin:.1f}"
        rows.append([name, f"{curve[:, -1].mean():.1f}", gain, needed(curve.mean(axis=0), last, start)])
    return table(["method", "at the end", "over the curve, against random order", f"labels for {last:.1f}%"], rows)


def needed(curve: np.ndarray, wanted: float, start: int) -> str:
    """Number of labels at which a mean curve first reaches an accuracy, between two points by a straight line."""
    reached = np.flatnonzero(curve >= wanted - 1e-9)
    if not reached.size:
        return f"more than {start + BATCH * (len(curve) - 1)}"
    i = int(reached[0])
    part = (wanted - curve[i - 1]) / (curve[i] - curve[i - 1]) if i else 0.0
    return f"{start + BATCH * (max(i - 1, 0) + part):.0f}"


def distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances [n, m]."""
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None] - 2 * rows @ others.T
    return np.maximum(squares, 0)


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return distances(rows, others).min(axis=1)


def spread_out(rows: np.ndarray, far: np.ndarray, count: int, pick: Callable[[np.ndarray], int]) -> list[int]:
    """Pick rows one by one by their squared distances to all that were picked before."""
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(pick(far))
        far = np.minimum(far, distances(rows, rows[chosen[-1]][None])[:, 0])
        far[chosen[-1]] = 0
    return chosen


def drawn(draw: np.random.Generator, weights: np.ndarray) -> int:
    return int(draw.choice(len(weights), p=weights / weights.sum()))


@cache
def directions(data: PreparedData) -> np.ndarray:
    """Embeddings of length 1."""
    return unit(data.embeddings)


@cache
def clusters(data: PreparedData) -> np.ndarray:
    """Clusters of Cluster-Margin: agglomerative, by the mean distance."""
    found = AgglomerativeClustering(n_clusters=None, distance_threshold=0.9, linkage="average")
    return found.fit_predict(directions(data))


if __name__ == "__main__":
    main()
