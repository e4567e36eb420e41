"""Does computing features in bf16 cost accuracy, and what does it save? Splits and left-out sources.

    python benchmarks/precision.py PHOTOS [--splits 20] [--seeds 5] [--save FILE] [--against FILE]

"bf16" rounds the network as it is, "re-centred" the network of `roadclear.features.backbone.recentre`. "views" computes
only augmented views in re-centred bf16, and "training" all of the training photos; what is measured is then in f32.
Every row sees the same splits, so differences to the first row are paired. A left-out source is tested by a head that
saw none of its photos; validation photos are drawn from the other sources.

--save keeps the f32 embeddings in an .npz file, and --against adds a row of embeddings that another version saved.
"""

import argparse
import time

import numpy as np
from scipy.stats import t as student

from machine import describe, table
from roadclear.data.dataset import load_folder
from roadclear.data.split import SPLITS, TEST, TRAIN, VALIDATION, assign_splits
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.recentre import recentred
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.engine import open_engine
from roadclear.features.settings import DEFAULT_SIZE
from roadclear.images.augment import view
from roadclear.images.decode import read_photo
from roadclear.model.fit import train_dense
from roadclear.model.heads import log_loss
from roadclear.model.settings import HeadSettings
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import prepare
from roadclear.utils.threads import available_cores, ordered_map

DEFAULTS = TrainSettings(precision="f32")
VIEWS = range(DEFAULTS.views + 1)
# Embeddings of plain training photos, of their views, and of what is measured.
MODES = {
    "f32": ("f32", "f32", "f32"),
    "bf16": ("bf16", "bf16", "bf16"),
    "bf16 re-centred": ("re-centred", "re-centred", "re-centred"),
    "views in bf16 re-centred": ("f32", "re-centred", "f32"),
    "training in bf16 re-centred": ("re-centred", "re-centred", "f32"),
}
FEWEST = 20
"""Fewest photos of a source that is left out by itself; the others are left out together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="trainings for each left-out source")
    parser.add_argument("--save")
    parser.add_argument("--against")
    arguments = parser.parse_args()
    print(describe("openvino", "numpy"))
    with open_cache(None) as cache:
        data = prepare(load_folder(arguments.photos), DEFAULTS, cache)
    features = compute(data)
    modes = dict(MODES)
    if arguments.save:
        np.savez(arguments.save, *features["f32"])
    if arguments.against:
        with np.load(arguments.against) as saved:
            features["saved"] = list(saved.values())
        modes["f32 of another version"] = ("saved", "saved", "saved")
    for name, views in features.items():
        lengths = np.linalg.norm(features["f32"][0], axis=1)
        error = np.linalg.norm(views[0] - features["f32"][0], axis=1) / lengths
        print(f"error of plain embeddings, {name}: {error.mean():.2e} of their length, at most {error.max():.2e}")
    report("splits", modes, features, data.targets, random_splits(data, arguments.splits))
    report("left-out sources", modes, features, data.targets, left_out_sources(data, arguments.seeds))


def compute(data):
    """Embeddings of the plain photos and their views by every network: name -> a list of [n, 1280]."""
    plain = load_weights()
    networks = {
        "f32": open_engine(build(plain).SerializeToString(), ["embedding"]),
        "bf16": open_engine(build(plain).SerializeToString(), ["embedding"], precision="bf16"),
        "re-centred": open_engine(build(recentred(plain)).SerializeToString(), ["embedding"], precision="bf16"),
    }

    def views_of(place):
        path, sha256 = data.photos[place].path, data.hashes[place]
        photo = read_photo(path, DEFAULT_SIZE)
        return [view(photo, sha256, k, DEFAULTS) for k in VIEWS]

    pixels = list(ordered_map(views_of, range(len(data.photos)), available_cores()))
    found = {}
    for name, engine in networks.items():
        cpu = time.process_time()
        rows = ordered_map(lambda views, e=engine: [e.infer(v)["embedding"] for v in views], pixels, available_cores())
        found[name] = list(np.array(list(rows)).transpose(1, 0, 2))
        spent = (time.process_time() - cpu) / len(pixels) / len(VIEWS)
        print(f"network alone, {name}: {1000 * spent:.2f} ms of a core a photo")
    return found


def random_splits(data, count):
    """Splits as `train` draws them: a list of (names [n], seed), one measurement each."""
    labels = [photo.label for photo in data.photos]
    return [[(np.array(assign_splits(labels, data.groups, seed)), seed)] for seed in range(count)]


def left_out_sources(data, seeds):
    """For each seed a list of splits, each of which tests one source; together they test every photo once."""
    sources = np.array([photo.source or "" for photo in data.photos])
    names, counts = np.unique(sources, return_counts=True)
    sources[np.isin(sources, names[counts < FEWEST])] = "others"
    measurements = []
    for seed in range(seeds):
        splits = []
        for source in np.unique(sources):
            rest = np.flatnonzero(sources != source)
            labels = [data.photos[i].label for i in rest]
            drawn = assign_splits(labels, data.groups[rest], seed, None, {TRAIN: 0.8, VALIDATION: 0.2})
            names_of_all = np.full(len(sources), TEST, dtype="U10")
            names_of_all[rest] = drawn
            splits.append((names_of_all, seed))
        measurements.append(splits)
    return measurements


def report(title, modes, features, targets, measurements) -> None:
    scores = {
        name: np.array([score([features[m] for m in mode], targets, splits) for splits in measurements])
        for name, mode in modes.items()
    }
    first = scores[next(iter(scores))]
    print(f"\n{len(targets)} photos, {len(VIEWS) - 1} views, {len(measurements)} measurements: {title}\n")
    columns = (title, "accuracy at 0.5", "against f32", "log-loss", "against f32", "largest change of a probability")
    rows = []
    for name, values in scores.items():
        differences = [paired(column) for column in (values - first).T]
        accuracy, loss = values.mean(axis=0)
        changed = largest_change(modes[name], features, targets, measurements[0][0])
        rows.append((name, f"{accuracy:.4f}", differences[0], f"{loss:.4f}", differences[1], f"{changed:.3f}"))
    print(table(columns, rows), flush=True)


def score(parts, targets, splits) -> tuple[float, float]:
    """Accuracy and log-loss over the test photos of all splits together."""
    measured = [
        (fit(parts, targets, *split).logits(parts[2][0][split[0] == TEST]), split[0] == TEST) for split in splits
    ]
    logits = np.concatenate([found for found, _ in measured])
    truth = np.concatenate([targets[test] for _, test in measured])
    return float(np.mean((logits > 0) == truth)), log_loss(logits, truth)


def fit(parts, targets, names, seed):
    train, validation = names == SPLITS[0], names == SPLITS[1]
    views = [parts[0][0][train], *(view[train] for view in parts[1][1:])]
    held_out = parts[2][0][validation], targets[validation]
    return train_dense(views, targets[train], held_out, HeadSettings(seed=seed)).head


def largest_change(mode, features, targets, split) -> float:
    """How far a probability of a test photo moves when the model file, which computes in f32, gives the answer."""
    test = split[0] == TEST
    head = fit([features[m] for m in mode], targets, *split)
    a, b = (1 / (1 + np.exp(-head.logits(features[m][0][test]))) for m in (mode[2], "f32"))
    return float(np.abs(a - b).max())


def paired(differences) -> str:
    """Mean with its 95% interval by Student's t."""
    n = len(differences)
    half = student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n) if n > 1 else 0.0
    return f"{differences.mean():+.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
