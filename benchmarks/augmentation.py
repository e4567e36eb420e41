"""Which augmentation, and how many cached views, does the head need? Test accuracy over many splits.

    python benchmarks/augmentation.py PHOTOS [--splits 20]

Every row sees the same splits, so rows are compared by their paired difference to the first one (no views).
Embeddings come from the user's feature cache, so a second run takes minutes less.
"""

import argparse
import platform

import numpy as np

from roadclear.data.dataset import load_folder
from roadclear.data.groups import group_ids
from roadclear.data.labels import choose_positive
from roadclear.data.split import SPLITS, assign_splits
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.settings import AugmentSettings
from roadclear.model.fit import train_dense, train_linear
from roadclear.model.heads import log_loss
from roadclear.model.settings import HeadSettings
from roadclear.utils.paths import default_cache_path

POLICIES = {
    "flip only": AugmentSettings(rotation=0, zoom=0),
    "2°, zoom 0.03": AugmentSettings(rotation=2, zoom=0.03),
    "5°, zoom 0.1": AugmentSettings(rotation=5, zoom=0.1),
    "10°, zoom 0.2": AugmentSettings(rotation=10, zoom=0.2),
    "20°, zoom 0.3": AugmentSettings(rotation=20, zoom=0.3),
    "36°, zoom 0.2 (Keras' guide)": AugmentSettings(rotation=36, zoom=0.2),
}
VIEWS = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=20)
    arguments = parser.parse_args()
    dataset = load_folder(arguments.photos)
    positive = choose_positive(dataset.labels, None)
    labels = [photo.label for photo in dataset.photos]
    targets = np.array([label == positive for label in labels]).astype(np.int64)
    groups = group_ids([[photo.scene or photo.file] for photo in dataset.photos])
    splits = [np.array(assign_splits(labels, groups, seed)) for seed in range(arguments.splits)]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{len(labels)} photos, {len(splits)} splits; accuracy at 0.5 on the test part\n")
    print("| augmentation | views | dense: accuracy | log-loss | against no views | linear: accuracy |")
    print("|---|---|---|---|---|---|")

    weights = load_weights()
    baseline: np.ndarray | None = None
    with open_cache(default_cache_path()) as cache:
        for name, policy in POLICIES.items():
            extractor = FeatureExtractor(FeatureSpace(weights, 224, "openvino", "f32"), policy, cache)
            paths = [photo.path for photo in dataset.photos]
            photos = [str(sha256) for sha256 in extractor.extract(paths, range(max(VIEWS) + 1))]
            views = [extractor.load(photos, k) for k in range(max(VIEWS) + 1)]
            for count in VIEWS if baseline is not None else (0, *VIEWS):
                dense, linear = (
                    np.array([score(fit, views[: count + 1], targets, parts, n) for n, parts in enumerate(splits)])
                    for fit in (dense_head, linear_head)
                )
                baseline = dense[:, 0] if baseline is None else baseline
                difference = dense[:, 0] - baseline
                error = difference.std(ddof=1) / np.sqrt(len(splits))
                print(
                    f"| {name if count else 'none'} | {count} | {dense[:, 0].mean():.4f} | {dense[:, 1].mean():.3f} | "
                    f"{difference.mean():+.4f} ± {1.96 * error:.4f} | {linear[:, 0].mean():.4f} |",
                    flush=True,
                )


def dense_head(views, targets, validation, seed):
    return train_dense(views, targets, validation, HeadSettings(seed=seed))


def linear_head(views, targets, validation, seed):
    return train_linear(views, targets, validation)


def score(fit, views, targets, parts, seed) -> tuple[float, float]:
    train, validation, test = (parts == part for part in SPLITS)
    held_out = views[0][validation], targets[validation]
    head = fit([view[train] for view in views], targets[train], held_out, seed).head
    logits = head.logits(views[0][test])
    return float(np.mean((logits > 0) == targets[test])), log_loss(logits, targets[test])


if __name__ == "__main__":
    main()
