"""What calibration, the threshold and "unfamiliar" are worth, over many splits of real photos.

    python benchmarks/reliability.py PHOTOS [--splits 40] [--unlike FOLDER ...]

Every row sees the same heads, so rows are compared by their paired difference to the first. Features come from the
user's feature cache. What the model cannot know is drawn (noise, flat colour, pages of text); folders of photos of
other things can be given, too. benchmarks/promise.py measures "unsure", benchmarks/unfamiliar.py more scores.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from machine import describe
from roadclear.data.dataset import load_folder
from roadclear.data.split import SPLITS, assign_splits
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.features.extractor import default_extractor
from roadclear.metrics.calibration import measure_calibration
from roadclear.metrics.curves import threshold_curve
from roadclear.model.decision.ood import fit_ood
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.fit import train_dense
from roadclear.model.heads import log_loss
from roadclear.model.settings import HeadSettings
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import load_views, prepare
from roadclear.utils.paths import default_cache_path

UNLIKE = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--unlike", nargs="*", default=[], help="folders of photos of other things")
    arguments = parser.parse_args()
    print(describe())
    with open_cache(default_cache_path()) as cache, tempfile.TemporaryDirectory() as folder:
        data = prepare(load_folder(arguments.photos), TrainSettings(), cache)
        views = data.embeddings, *load_views(data, range(len(data.photos)), 1)
        unlike = {name: embed(files, cache) for name, files in draw_unlike(Path(folder)).items()}
        unlike |= {Path(name).name: embed(sorted(Path(name).rglob("*.*")), cache) for name in arguments.unlike}
    labels, targets = [photo.label for photo in data.photos], data.targets
    splits = [np.array(assign_splits(labels, data.groups, seed)) for seed in range(arguments.splits)]
    logits = [judge(views, targets, parts, seed) for seed, parts in enumerate(splits)]
    print(f"{len(labels)} photos, {len(splits)} splits, {(splits[0] == 'validation').sum()} validation photos each\n")
    report_calibration(targets, splits, logits)
    report_thresholds(targets, splits, logits)
    report_unfamiliar(views[0], splits, unlike)


def judge(views, targets, parts, seed):
    """Logits of all photos, from a head trained on one part."""
    train, validation, _ = (parts == part for part in SPLITS)
    held_out = views[0][validation], targets[validation]
    found = train_dense([view[train] for view in views], targets[train], held_out, HeadSettings(seed=seed))
    return found.head.logits(views[0])


def nothing(logits, targets):
    return lambda z: z


def our_temperature(logits, targets):
    temperature = fit_temperature(logits, targets)
    return lambda z: z / np.float32(temperature)


def free_temperature(logits, targets):
    found = minimize_scalar(
        lambda log_t: log_loss(logits / np.float32(np.exp(log_t)), targets), bounds=(-3, 3), method="bounded"
    )
    return lambda z: z / np.float32(np.exp(found.x))


def platt(logits, targets):
    found = LogisticRegression(C=np.inf).fit(logits[:, None].astype(np.float64), targets)
    return lambda z: (z * found.coef_[0, 0] + found.intercept_[0]).astype(np.float32)


def isotonic(logits, targets):
    found = IsotonicRegression(y_min=0.005, y_max=0.995, out_of_bounds="clip").fit(logits, targets)

    def calibrated(z):
        p = found.predict(z)
        return np.log(p / (1 - p)).astype(np.float32)

    return calibrated


METHODS = {
    "none": nothing,
    "temperature with a prior (ours)": our_temperature,
    "temperature (Guo et al. 2017)": free_temperature,
    "Platt scaling": platt,
    "isotonic regression": isotonic,
}


def report_calibration(targets, splits, logits) -> None:
    print("| calibration | log-loss | against none | Brier | against none | expected error | accuracy at 0.5 |")
    print("|---|---|---|---|---|---|---|")
    baseline = None
    for name, method in METHODS.items():
        rows = np.array([calibrated(method, targets, p, z) for p, z in zip(splits, logits, strict=True)])
        baseline = rows if baseline is None else baseline
        gain = rows - baseline
        error = 1.96 * gain.std(axis=0, ddof=1) / np.sqrt(len(rows))
        loss, brier, expected, accuracy = rows.mean(axis=0)
        print(
            f"| {name} | {loss:.4f} | {gain[:, 0].mean():+.4f} ± {error[0]:.4f} | {brier:.4f} | "
            f"{gain[:, 1].mean():+.4f} ± {error[1]:.4f} | {expected:.4f} | {accuracy:.4f} |"
        )
    print()


def calibrated(method, targets, parts, z):
    _, validation, test = (parts == part for part in SPLITS)
    found = method(z[validation], targets[validation])(z[test])
    probability = sigmoid(found)
    measured = measure_calibration(targets[test] == 1, probability)
    hit = np.mean((found >= 0) == targets[test])
    return log_loss(found, targets[test]), measured.brier, measured.expected_error, hit


def report_thresholds(targets, splits, logits) -> None:
    print("| threshold | test accuracy | against 0.5 |")
    print("|---|---|---|")
    fixed = np.array([hits(targets, p, z, 0.5) for p, z in zip(splits, logits, strict=True)])
    looked_up = np.array(
        [hits(targets, p, z, best_on_validation(targets, p, z)) for p, z in zip(splits, logits, strict=True)]
    )
    error = 1.96 * (looked_up - fixed).std(ddof=1) / np.sqrt(len(fixed))
    print(f"| 0.5 | {fixed.mean():.4f} | |")
    print(
        f"| best balanced accuracy on validation | {looked_up.mean():.4f} | "
        f"{(looked_up - fixed).mean():+.4f} ± {error:.4f} |\n"
    )


def hits(targets, parts, z, threshold) -> float:
    test = parts == "test"
    return float(np.mean((sigmoid(z[test]) >= threshold) == targets[test]))


def best_on_validation(targets, parts, z) -> float:
    validation = parts == "validation"
    options = threshold_curve(targets[validation] == 1, sigmoid(z[validation]))
    score = options.recall + options.specificity
    best = score >= score.max() - 1e-12
    return float(options.thresholds[best][np.argmax(options.gaps[best])])


def report_unfamiliar(embeddings, splits, unlike) -> None:
    alarms: dict[str, list[float]] = {name: [] for name in ("test photos (false alarms)", *unlike)}
    for seed, parts in enumerate(splits):
        train, validation, test = (embeddings[parts == part] for part in SPLITS)
        found = fit_ood(train, validation, seed)
        for name, photos in zip(alarms, (test, *unlike.values()), strict=True):
            alarms[name].append(float(np.mean(found.distances(photos) > found.limit)))
    print("| photos | called unfamiliar |")
    print("|---|---|")
    for name, rates in alarms.items():
        print(f"| {name} | {np.mean(rates):.1%} |")


def embed(files: list[Path], cache: FeatureCache):
    extractor = default_extractor(cache)
    return extractor.load([found for found in extractor.extract(files, [0]) if isinstance(found, str)], 0)


def draw_unlike(folder: Path) -> dict[str, list[Path]]:
    """Files of noise, of flat colour, and of pages of text."""
    draw = np.random.default_rng(0)
    kinds = {"noise": draw_noise, "flat colour": draw_flat, "pages of text": draw_page}
    files: dict[str, list[Path]] = {}
    for kind, drawn in kinds.items():
        files[kind] = [folder / f"{kind} {number}.png" for number in range(UNLIKE)]
        for file in files[kind]:
            drawn(draw).save(file)
    return files


def draw_noise(draw: np.random.Generator) -> Image.Image:
    return Image.fromarray(draw.integers(0, 256, (224, 224, 3), dtype=np.uint8))


def draw_flat(draw: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (240, 180), tuple(int(level) for level in draw.integers(0, 256, 3)))


def draw_page(draw: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (300, 400), (250, 250, 245))
    pen = ImageDraw.Draw(page)
    for y in range(20, 380, 14):
        words = ("".join(chr(97 + int(c)) for c in draw.integers(0, 26, draw.integers(2, 9))) for _ in range(8))
        pen.text((20, y), " ".join(words), fill=(20, 20, 20))
    return page


def sigmoid(z):
    return 1 / (1 + np.exp(-z.astype(np.float64)))


if __name__ == "__main__":
    main()
