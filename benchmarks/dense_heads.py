"""Is our own dense head as good as scikit-learn's, and what batch does it need? Paired over many splits.

    python benchmarks/dense_heads.py PHOTOS [--splits 40] [--seeds 4]

Three ways to split: by whole groups into 70/15/15, as `train`; five folds three times for several seeds, as `validate`;
and five folds by whole sources, so that every test photo is of a source that the head has not seen. Every head sees the
same splits, and is calibrated before it is tested. Intervals are of the paired differences to the first head, by the
corrected resampled t, since training photos of different splits overlap.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from sklearn.neural_network import MLPClassifier

from machine import describe, table
from roadclear.data.dataset import load_folder
from roadclear.data.folds import Fold, draw_folds
from roadclear.data.groups import group_ids
from roadclear.data.split import SHARES, SPLITS, assign_splits
from roadclear.features.cache import open_cache
from roadclear.metrics.intervals import corrected_interval
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.fit import train_dense
from roadclear.model.heads import HIDDEN_UNITS, DenseHead, TrainedHead, balanced_weights, log_loss, measure_epoch
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import load_views, prepare
from roadclear.utils.paths import default_cache_path
from roadclear.utils.threads import one_thread

TEST_TO_TRAIN = SHARES["test"] / SHARES["train"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=4, help="repetitions of the 5 x 3 folds, and of those by sources")
    arguments = parser.parse_args()
    print(describe("scikit-learn", "numpy"))
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(arguments.photos), TrainSettings(), cache)
        views = data.embeddings, *load_views(data, range(len(data.photos)), 1)
    sources = group_ids(
        [[("group", group), ("source", photo.source)] for group, photo in zip(data.groups, data.photos, strict=True)]
    )
    seeds = range(arguments.seeds)
    ways = {
        "train's splits": (draw_splits(data, arguments.splits), TEST_TO_TRAIN),
        "validate's folds": ([f for s in seeds for f in draw_folds(data.targets, data.groups, 5, 3, s)], 1 / 4),
        "sources left out": ([f for s in seeds for f in draw_folds(data.targets, sources, 5, 3, s)], 1 / 4),
    }
    for name, (folds, ratio) in ways.items():
        report(f"{name}, {len(folds)}", views, data.targets, folds, ratio)


def draw_splits(data, number):
    labels = data.targets.astype(str).tolist()
    drawn = []
    for seed in range(number):
        parts = np.array(assign_splits(labels, data.groups, seed))
        drawn.append(Fold(0, seed, *(np.flatnonzero(parts == part) for part in SPLITS)))
    return drawn


def ours(batch, rate):
    def train(views, targets, validation, settings):
        return train_dense(views, targets, validation, replace(settings, batch_size=batch, learning_rate=rate))

    return train


def scikit_learn(views, targets, validation, settings) -> TrainedHead:
    """Dense head by `MLPClassifier`, epoch by epoch, with the same views, weights and stopping."""
    network = MLPClassifier(
        (HIDDEN_UNITS,), alpha=0.0, batch_size=32, learning_rate_init=1e-4, random_state=settings.seed
    )
    stacked, draw, photos = np.stack(views), np.random.default_rng(settings.seed), np.arange(len(targets))
    best, lowest = None, np.inf
    for number in range(1, settings.epochs + 1):
        chosen = stacked[draw.integers(len(views), size=len(photos)), photos]
        network.partial_fit(chosen, targets, sample_weight=balanced_weights(targets), classes=[0, 1])
        (kernel, output), (bias, output_bias) = ([each.astype(np.float32) for each in of] for of in
                                                 (network.coefs_, network.intercepts_))  # fmt: skip
        head = DenseHead(kernel, bias, output[:, 0], output_bias[0])
        epoch = measure_epoch(number, network.loss_, head, validation)
        if epoch.validation_loss < lowest:
            lowest, best = epoch.validation_loss, TrainedHead(head, (epoch,), number)
        elif number - best.best_epoch >= settings.patience:
            break
    return replace(best, history=(epoch,))


HEADS = {
    "scikit-learn, batches of 32": scikit_learn,
    "ours, 32, rate 1e-4": ours(32, 1e-4),
    "ours, 64, rate 2e-4": ours(64, 2e-4),
    "ours, 128, rate 4e-4": ours(128, 4e-4),
}


def report(name, views, targets, folds, ratio) -> None:
    found = np.array([[test(train, views, targets, fold) for train in HEADS.values()] for fold in folds])
    rows = []
    for label, values in zip(HEADS, found.transpose(1, 2, 0), strict=True):
        accuracy, loss, epochs, seconds = values
        rows.append(
            (label, f"{accuracy.mean():.4f}", against(accuracy, found[:, 0, 0], ratio), f"{loss.mean():.4f}",
             against(loss, found[:, 0, 1], ratio), f"{epochs.mean():.1f}", f"{np.median(seconds):.2f}")
        )  # fmt: skip
    columns = (name, "accuracy", "difference", "log-loss", "difference", "epochs", "CPU s a head")
    print(table(columns, rows) + "\n", flush=True)


def test(train, views, targets, fold) -> tuple[float, float, int, float]:
    """Accuracy, log-loss, number of epochs and seconds of a processor."""
    settings = TrainSettings(seed=fold.seed)
    held_out = views[0][fold.validation], targets[fold.validation]
    with one_thread():
        started = time.process_time()
        trained = train([view[fold.train] for view in views], targets[fold.train], held_out, settings)
        seconds = time.process_time() - started
        calibrated = calibrate(trained, held_out, settings)
        logits = calibrated.head.logits(views[0][fold.test])
    positive = logits >= np.log(calibrated.threshold / (1 - calibrated.threshold))
    truth = targets[fold.test]
    return float(np.mean(positive == truth)), log_loss(logits, truth), trained.history[-1].epoch, seconds


def against(values, first, ratio) -> str:
    difference = values - first
    if not difference.any():
        return ""
    low, high = corrected_interval(difference, ratio)
    return f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
