"""Does caching features cost accuracy? The recipe with fresh augmentation every epoch, against `roadclear train`.

    python benchmarks/accuracy_vs_recipe.py PHOTOS [--seeds 5] [--epochs 20]

The recipe: in every epoch every training photo is seen in a new random view (flip, rotation up to 36 degrees, zoom up
to 0.2), through the same frozen base in f32; Dense(512), Adam 1e-4, batches of 32, 20 epochs, no early stopping,
threshold 0.5. Both sides have the same weights and, seed by seed, the same splits, so differences are paired.
"""

import argparse

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from machine import describe, table
from roadclear.data.dataset import load_folder
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.settings import AugmentSettings
from roadclear.model.heads import HIDDEN_UNITS
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train

RECIPE_VIEWS = AugmentSettings(rotation=36, zoom=0.2, flip=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    dataset = load_folder(arguments.photos)
    print(describe("openvino", "scikit-learn", "numpy"))

    rows = []
    with open_cache(None) as cache:
        recipe_features = FeatureExtractor(FeatureSpace(load_weights(), 224, "openvino", "f32"), RECIPE_VIEWS, cache)
        for seed in range(arguments.seeds):
            training = train(dataset, TrainSettings(seed=seed), cache)
            parts = np.array(training.data.splits)
            targets = training.data.targets == 1
            test = parts == "test"
            theirs = recipe(recipe_features, training, parts, targets, seed, arguments.epochs)
            ours = training.probabilities[test]
            rows.append([judge(theirs, 0.5, targets[test]), judge(ours, training.facts.threshold, targets[test])])
            print(f"seed {seed}: recipe {rows[-1][0]}, roadclear {rows[-1][1]}", flush=True)

    measured = np.array(rows)
    print(f"\n{len(targets)} photos, {arguments.seeds} seeds, {arguments.epochs} epochs, test photos\n")
    names = f"recipe, a new view every epoch, {arguments.epochs} epochs", "roadclear train"
    lines = []
    for name, values in zip(names, measured.transpose(1, 0, 2), strict=True):
        accuracy, loss = values.mean(axis=0)
        against = [interval(values[:, k] - measured[:, 0, k]) for k in (0, 1)]
        lines.append((name, f"{accuracy:.4f}", against[0], f"{loss:.4f}", against[1]))
    against_recipe = "against the recipe (95% interval)"
    print(table(("", "mean accuracy", against_recipe, "mean log-loss", against_recipe), lines))


def judge(probabilities, threshold, targets):
    """Accuracy and log-loss."""
    accuracy = float(np.mean((probabilities >= threshold) == targets))
    return round(accuracy, 4), round(float(log_loss(targets, probabilities)), 4)


def recipe(extractor, training, parts, targets, seed, epochs):
    """P(positive class) of each test photo by the recipe."""
    chosen = np.flatnonzero(parts == "train")
    hashes = [training.data.hashes[i] for i in chosen]
    views = range(seed * epochs + 1, (seed + 1) * epochs + 1)  # every seed has views of its own
    for _ in extractor.extract([training.data.photos[i].path for i in chosen], views):
        pass
    draw = np.random.RandomState(seed)  # an integer would give every epoch the same order of batches
    network = MLPClassifier((HIDDEN_UNITS,), alpha=0.0, batch_size=32, learning_rate_init=1e-4, random_state=draw)
    with threadpool_limits(1):
        for view in views:
            network.partial_fit(extractor.load(hashes, view), targets[chosen], classes=[False, True])
    return network.predict_proba(training.data.embeddings[parts == "test"])[:, 1]


def interval(differences) -> str:
    """Mean of paired differences with Student's interval."""
    n = len(differences)
    if n < 2 or not differences.any():
        return f"{differences.mean():+.4f}"
    half = student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return f"{differences.mean():+.4f} ± {half:.4f}"


if __name__ == "__main__":
    main()
