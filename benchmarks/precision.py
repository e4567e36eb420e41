"""Does computing features in bf16 cost accuracy, and what does it save? f32, bf16 and auto over many splits.

    python benchmarks/precision.py PHOTOS [--splits 20] [--runs 3]

"mixed": plain photos (all that is measured) in f32, augmented training views in bf16. Every row sees the
same splits, so differences to f32 are paired. Times are those of extracting the plain photos and the default views of
all photos, with an empty cache.
"""

import argparse
import time

import numpy as np

from machine import describe, interleaved, median, table
from roadclear.data.dataset import load_folder
from roadclear.data.split import SPLITS, assign_splits
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.engine import has_native_bf16
from roadclear.features.extractor import FeatureExtractor, FeatureSpace
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.fit import train_dense
from roadclear.model.heads import log_loss
from roadclear.model.settings import HeadSettings
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import prepare

DEFAULTS = TrainSettings()
VIEWS = range(1, DEFAULTS.views + 1)
MODES = {"f32": ("f32", "f32"), "bf16": ("bf16", "bf16"), "mixed": ("f32", "bf16")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(describe("openvino", "numpy"))
    print(f"bf16 by the processor's own instructions: {'yes' if has_native_bf16() else 'no'}\n")

    dataset = load_folder(arguments.photos)
    weights = load_weights()
    paths = [photo.path for photo in dataset.photos]
    seconds = interleaved(
        {
            f"{precision} {kind}": lambda p=precision, v=views: extraction_time(weights, paths, p, v)
            for precision in ("f32", "bf16")
            for kind, views in (("plain", [PLAIN_VIEW]), ("views", VIEWS))
        },
        arguments.runs,
    )
    with open_cache(None) as cache:
        extractors = {
            p: FeatureExtractor(FeatureSpace(weights, 224, "openvino", p), DEFAULTS, cache) for p in MODES["mixed"]
        }
        data = prepare(dataset, DEFAULTS, cache)
        features = {p: all_views(extractor, data) for p, extractor in extractors.items()}
    labels, targets = [photo.label for photo in data.photos], data.targets
    splits = [np.array(assign_splits(labels, data.groups, seed)) for seed in range(arguments.splits)]
    scores = {
        mode: np.array(
            [score([features[p][0], *features[v][1:]], targets, parts, seed) for seed, parts in enumerate(splits)]
        )
        for mode, (p, v) in MODES.items()
    }
    print(f"{len(labels)} photos, {len(VIEWS)} views, {len(splits)} splits; accuracy at 0.5 on the test part\n")
    columns = ("precision", "accuracy", "against f32", "log-loss", "against f32", "features, s")
    rows = []
    for mode, (plain, views) in MODES.items():
        accuracy, loss = scores[mode].T
        differences = [paired(values) for values in (scores[mode] - scores["f32"]).T]
        time_s = median(seconds[f"{plain} plain"]) + median(seconds[f"{views} views"])
        rows.append(
            (mode, f"{accuracy.mean():.4f}", differences[0], f"{loss.mean():.4f}", differences[1], f"{time_s:.2f}")
        )
    print(table(columns, rows))


def extraction_time(weights, paths, precision, views) -> float:
    with open_cache(None) as cache:
        extractor = FeatureExtractor(FeatureSpace(weights, 224, "openvino", precision), DEFAULTS, cache)
        started = time.perf_counter()
        for _ in extractor.extract(paths, views):
            pass
        return time.perf_counter() - started


def all_views(extractor, data):
    """Embeddings of the plain photos, then of their views: a list of [n, 1280]."""
    numbers = [PLAIN_VIEW, *VIEWS]
    for _ in extractor.extract([photo.path for photo in data.photos], numbers):
        pass
    return [extractor.load(data.hashes, k) for k in numbers]


def score(views, targets, parts, seed) -> tuple[float, float]:
    train, validation, test = (parts == part for part in SPLITS)
    head = train_dense(
        [view[train] for view in views],
        targets[train],
        (views[0][validation], targets[validation]),
        HeadSettings(seed=seed),
    ).head
    logits = head.logits(views[0][test])
    return float(np.mean((logits > 0) == targets[test])), log_loss(logits, targets[test])


def paired(differences) -> str:
    """Mean with its 95% interval."""
    half = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return f"{differences.mean():+.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
