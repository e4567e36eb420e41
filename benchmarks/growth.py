"""How time and memory of the stages after the features grow with the number of photos.

    python benchmarks/growth.py [--smallest 1000] [--largest 100000] [--stage look-alikes ...]

Embeddings and fingerprints are made: the embeddings have the spectrum of those of real road photos, and one photo in
ten is a planted look-alike. "Alike" embeddings have a mean cosine of 0.8, as sets in one narrow style do. "One camera"
is hashes within 12 bits of each other. Every row is a process of its own, so its peak of memory is its own. CPU time is
user and system time of all threads.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from machine import describe, table
from roadclear.data.dataset import LabelledPhoto
from roadclear.data.groups import group_photos
from roadclear.data.near_duplicates.groups import group
from roadclear.data.settings import GroupSettings
from roadclear.data.split import SHARES, TEST, TRAIN, VALIDATION, assign_splits
from roadclear.features.cache import FeatureCache
from roadclear.metrics.classification import evaluate
from roadclear.model.content_filter import ContentFilter
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.ood import fit_ood
from roadclear.model.fit import train_dense, train_linear
from roadclear.model.heads import probabilities
from roadclear.model.settings import DecisionSettings, HeadSettings
from roadclear.training.leakage import measure_leakage
from roadclear.training.prepare import PreparedData
from roadclear.training.run_files import prediction_table, split_table

SIZES = (1_000, 10_000, 100_000)
DIMENSIONS = 1280
# Shares of the squared length of unit embeddings of 1,105 road photos, up to the k-th principal direction.
SPECTRUM = {1: 0.616, 2: 0.642, 8: 0.729, 32: 0.826, 64: 0.880, 128: 0.933, 192: 0.959, 256: 0.973, 384: 0.986, 1280: 1}
SCENES = 40


@dataclass
class _Made:
    """Made photos: labels, hashes, embeddings, fingerprints, groups and splits."""

    n: int
    mean: float = 0.62

    @cached_property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.n)

    @cached_property
    def copies(self) -> np.ndarray:
        return np.arange(9, self.n, 10)

    @cached_property
    def originals(self) -> np.ndarray:
        return self.copies - 1 - np.random.default_rng(1).integers(0, 8, len(self.copies))

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Float32 [n, 1280] around one of 40 centres each; copies have cosines of 0.86 to 0.99 with their originals."""
        random = self.random
        directions = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS), dtype=np.float32))[0]
        edges, sums = list(SPECTRUM), list(SPECTRUM.values())
        steps = pairwise(zip(edges, sums, strict=True))
        shares = np.concatenate([np.full(b - a, (t - s) / (b - a)) for (a, s), (b, t) in steps])
        scale = np.sqrt(shares / shares.sum() * (1 - self.mean)).astype(np.float32)
        centres = random.standard_normal((SCENES, DIMENSIONS - 1), dtype=np.float32)
        made = np.empty((self.n, DIMENSIONS), dtype=np.float32)
        for start in range(0, self.n, 10_000):
            part = made[start : start + 10_000]
            drawn = random.standard_normal((len(part), DIMENSIONS - 1), dtype=np.float32)
            drawn = (drawn + 0.5 * centres[random.integers(0, SCENES, len(part))]) * scale
            drawn *= np.exp(random.normal(-0.12, 0.18, (len(part), 1))).astype(np.float32)
            part[:] = drawn @ directions[1:] + np.float32(np.sqrt(self.mean)) * directions[0]
        lengths = np.linalg.norm(made[self.originals], axis=1, keepdims=True) / np.float32(np.sqrt(DIMENSIONS))
        for start in range(0, len(self.copies), 10_000):
            some = slice(start, start + 10_000)
            noise = random.standard_normal((len(self.copies[some]), DIMENSIONS), dtype=np.float32) * lengths[some]
            noise *= random.uniform(0.1, 0.6, (len(noise), 1)).astype(np.float32)
            made[self.copies[some]] = made[self.originals[some]] + noise
        return made

    @cached_property
    def fingerprints(self) -> np.ndarray:
        """uint64 [n, 2]; every other copy has the hashes of its original, up to 12 bits changed."""
        random = np.random.default_rng(2)
        made = random.integers(0, 2**64, (self.n, 2), dtype=np.uint64)
        made[self.copies[::2]] = made[self.originals[::2]]
        flip(made, self.copies[::2], random, 12)
        return made

    @cached_property
    def hashes(self) -> list[str]:
        return [sha256(str(number).encode()).hexdigest() for number in range(self.n)]

    @cached_property
    def photos(self) -> tuple[LabelledPhoto, ...]:
        labels = np.where(self.targets == 1, "crossing", "empty").tolist()
        files = [f"{label}/{number:06}.jpg" for number, label in enumerate(labels)]
        return tuple(
            LabelledPhoto(
                Path("/photos", file), file, label, scene=f"scene-{number // 4}", source=f"site-{number % 999}"
            )
            for number, (file, label) in enumerate(zip(files, labels, strict=True))
        )

    @cached_property
    def targets(self) -> np.ndarray:
        """int64 [n]: the label follows from one direction of the embeddings, and is wrong for one photo in twenty."""
        side = self.embeddings @ np.random.default_rng(3).standard_normal(DIMENSIONS, dtype=np.float32)
        return ((side > np.median(side)) ^ (np.random.default_rng(4).random(self.n) < 0.05)).astype(np.int64)

    @cached_property
    def data(self) -> PreparedData:
        groups = np.arange(self.n) // 4
        labels = [photo.label for photo in self.photos]
        splits = tuple(assign_splits(labels, groups, 0))
        hashes, looks = tuple(self.hashes), np.arange(self.n)
        made = (self.photos, hashes, self.embeddings, looks, groups, splits, (), "crossing", "empty", SHARES, None)
        return PreparedData(*made)

    def flawed_head(self):
        """A linear head that is not trained: what it answers does not matter to the time of what follows."""
        few = slice(0, 1000)
        return train_linear([self.embeddings[few]], self.targets[few], (self.embeddings[few], self.targets[few]))


def flip(fingerprints, rows, random, most):
    """Flip up to `most` bits of the hashes in some rows; the mirror image's hash gets the same bits."""
    times = random.integers(0, most + 1, len(rows))
    for turn in range(most):
        bit = np.uint64(1) << random.integers(0, 64, len(rows), dtype=np.uint64)
        fingerprints[rows] ^= np.where(turn < times, bit, np.uint64(0))[:, np.newaxis]


def load_features(made: _Made) -> Callable[[], object]:
    folder = tempfile.TemporaryDirectory()
    cache = FeatureCache(Path(folder.name, "features.sqlite"))
    for photo, row, hashes in zip(made.hashes, made.embeddings, made.fingerprints, strict=True):
        cache.put(photo, "base", "plain", row)
        cache.put(photo, "fingerprint", "plain", hashes)
    cache.flush()
    hashes = made.hashes
    del made.embeddings

    def run():
        rows = cache.load(hashes, "base", "plain", np.float32), cache.load(hashes, "fingerprint", "plain", np.uint64)
        cache.close()
        folder.cleanup()
        return rows

    return run


def look_alikes(made: _Made) -> Callable[[], object]:
    fingerprints, embeddings = made.fingerprints, made.embeddings
    return lambda: group(fingerprints, embeddings)


def alike(made: _Made) -> Callable[[], object]:
    return look_alikes(_Made(made.n, mean=0.8))


def one_camera(made: _Made) -> Callable[[], object]:
    fingerprints = np.repeat(made.fingerprints[:1], made.n, axis=0)
    flip(fingerprints, np.arange(made.n), made.random, 6)
    return lambda: group(fingerprints, None)


def groups(made: _Made) -> Callable[[], object]:
    photos, hashes, looks = made.photos, made.hashes, np.arange(made.n)
    return lambda: group_photos(photos, hashes, looks, GroupSettings())


def split(made: _Made) -> Callable[[], object]:
    labels, numbers, hashes = [photo.label for photo in made.photos], np.arange(made.n) // 4, made.hashes
    return lambda: assign_splits(labels, numbers, 0, hashes=hashes)


def dense(made: _Made) -> Callable[[], object]:
    (train, targets), validation = made.data.select(TRAIN), made.data.select(VALIDATION)
    return lambda: train_dense([train], targets, validation, HeadSettings(epochs=3))


def linear(made: _Made) -> Callable[[], object]:
    (train, targets), validation = made.data.select(TRAIN), made.data.select(VALIDATION)
    return lambda: train_linear([train], targets, validation)


def rules(made: _Made) -> Callable[[], object]:
    head, validation = made.flawed_head(), made.data.select(VALIDATION)
    return lambda: calibrate(head, validation, DecisionSettings(min_recall=0.95))


def unfamiliar(made: _Made) -> Callable[[], object]:
    vectors, data = made.embeddings, made.data
    train, validation = vectors[data.numbers(TRAIN)], vectors[data.numbers(VALIDATION)]
    return lambda: fit_ood(train, validation, 0).distances(vectors)


def metrics(made: _Made) -> Callable[[], object]:
    data, chosen = made.data, made.data.is_in(TEST)
    probability = probabilities(made.flawed_head().head, data.embeddings)
    return lambda: evaluate(data.targets[chosen] == 1, probability[chosen], 0.5, data.groups[chosen])


def leakage(made: _Made) -> Callable[[], object]:
    data = made.data
    return lambda: measure_leakage(data, 0)


def files(made: _Made) -> Callable[[], object]:
    data = made.data
    facts = SimpleNamespace(positive="crossing", negative="empty", threshold=0.5, distance_limit=0.5)
    facts.band = UnsureBand(0.4, 0.6, 0.9)
    result = SimpleNamespace(facts=facts, data=data, probabilities=made.random.random(made.n))
    result.distances = made.random.random(made.n, dtype=np.float32)
    return lambda: (split_table(data), prediction_table(result), ContentFilter.from_hashes(data.hashes).to_json())


STAGES: dict[str, Callable[[_Made], Callable[[], object]]] = {
    "features from the cache": load_features,
    "look-alikes": look_alikes,
    "look-alikes, alike": alike,
    "look-alikes, hashes of one camera": one_camera,
    "groups": groups,
    "split": split,
    "dense head, 3 epochs": dense,
    "linear head": linear,
    "temperature, threshold, unsure band": rules,
    "unfamiliar": unfamiliar,
    "metrics with intervals": metrics,
    "leakage": leakage,
    "tables and filter": files,
}


def measure(stage: str, n: int) -> None:
    run = STAGES[stage](_Made(n))
    start_peak()
    before, started = peak_mb(), cpu_seconds()
    result = run()
    seconds = cpu_seconds() - started
    del result
    print(json.dumps({"seconds": seconds, "peak": peak_mb(), "before": before}))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def start_peak() -> None:
    """Let the peak of memory begin at the memory in use; on Linux alone."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smallest", type=int, default=min(SIZES))
    parser.add_argument("--largest", type=int, default=max(SIZES))
    parser.add_argument("--stage", nargs="*", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        measure(arguments.row[0], int(arguments.row[1]))
        return
    print(describe("numpy"))
    rows = []
    for stage in arguments.stage:
        for n in (size for size in SIZES if arguments.smallest <= size <= arguments.largest):
            command = [sys.executable, __file__, "--row", stage, str(n)]
            done = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            peak = f"{found['peak']:,.0f} ({found['before']:,.0f})"
            rows.append((stage, f"{n:,}", f"{found['seconds']:.2f}", f"{found['seconds'] / n * 1e6:,.0f}", peak))
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    print(table(("stage", "photos", "CPU s", "microseconds a photo", "peak memory, MB (of it before the stage)"), rows))


if __name__ == "__main__":
    main()
