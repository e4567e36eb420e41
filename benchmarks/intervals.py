"""How often nominal 95% intervals hold the truth, from few photos to many: a simulation with known truth.

    python benchmarks/intervals.py [--times 1000]

Logits are normal. In scenes of three, three quarters of the noise are shared. Probabilities are calibrated, or twice as
sure as they should be. The truth is that of a million photos.
"""

import argparse

import numpy as np
from scipy.special import expit

from roadclear.metrics.calibration import measure_calibration
from roadclear.metrics.classification import evaluate

SIZES = (24, 60, 150, 450, 1500, 6000)
METRICS = ("accuracy", "recall", "roc_auc", "calibration error")
MODELS = {"calibrated": 1.0, "too sure": 2.0}
SHARED = 0.75
SKILL = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1000)
    times = parser.parse_args().times
    print(f"| photos | {' | '.join(METRICS)} |\n|---|{'---|' * len(METRICS)}")
    for photos in (1, 3):
        for model, factor in MODELS.items():
            truth = measured(*drawn(np.random.default_rng(0), 1_000_000, 1, factor), None)
            truth["calibration error"] = (0.0,) * 3 if factor == 1 else truth["calibration error"]
            for size in SIZES:
                held = held_by(size // photos, photos, factor, truth, times if size < 2000 else times // 4)
                what = f"{size:,} {'independent' if photos == 1 else 'in scenes of 3'}, {model}"
                print(f"| {what} | {' | '.join(f'{100 * held[name]:.1f}%' for name in METRICS)} |", flush=True)


def held_by(scenes, photos, factor, truth, times):
    """Share of simulated test sets whose interval holds the truth, by metric."""
    draw = np.random.default_rng([scenes, photos])
    held = {name: [] for name in METRICS}
    for _ in range(times):
        positive, probability = drawn(draw, scenes, photos, factor)
        if positive.all() or not positive.any():
            continue
        found = measured(positive, probability, np.repeat(np.arange(scenes), photos))
        for name in METRICS:
            held[name].append(found[name][1] <= truth[name][0] <= found[name][2])
    return {name: np.mean(values) for name, values in held.items()}


def drawn(draw, scenes, photos, factor):
    """Truth and probabilities. All photos of a scene have its label."""
    positive = np.repeat(draw.random(scenes) < 0.5, photos)
    noise = np.sqrt(SHARED) * np.repeat(draw.normal(size=scenes), photos) if photos > 1 else 0.0
    noise = noise + np.sqrt(1 - SHARED if photos > 1 else 1.0) * draw.normal(size=scenes * photos)
    # The logit of photos from two normal distributions, 2 * SKILL apart, is 2 * SKILL times their position.
    position = np.where(positive, SKILL, -SKILL) + noise
    return positive, expit(factor * 2 * SKILL * position)


def measured(positive, probability, groups):
    """Value, lower and upper end of every metric."""
    metrics = (
        evaluate(positive, probability, 0.5, groups).metrics
        if len(positive) < 100_000
        else exact(positive, probability)
    )
    found = (
        {name: (metrics[name].value, *metrics[name].ci95) for name in METRICS[:3]} if groups is not None else metrics
    )
    calibration = measure_calibration(positive, probability, groups)
    return {**found, "calibration error": (calibration.expected_error, *calibration.ci95)}


def exact(positive, probability):
    """Values of a sample that is as good as the truth."""
    ranks = np.empty(len(probability))
    ranks[np.argsort(probability)] = np.arange(1, len(probability) + 1)
    n = positive.sum()
    area = (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n))
    right = (probability >= 0.5) == positive
    return {"accuracy": (right.mean(),) * 3, "recall": (right[positive].mean(),) * 3, "roc_auc": (area,) * 3}


if __name__ == "__main__":
    main()
