"""Is a stage slower than it was? Each stage as a ratio to a calibrated loop, and an alarm at 15%.

    python benchmarks/regression.py [--rounds 9] [--save]

A loop of matrix products and plain Python, of which every machine has its own speed, runs before every stage. The ratio
of processor times changes far less from machine to machine, or on a busy machine, than seconds do. The medians are
compared with `regression.json`; --save writes them there. Ends with 1 where a stage is slower by more than 15%.

A processor that is not in the file has nothing to compare with, so nothing can be alarmed there.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from machine import describe, processor, table
from made_photos import draw_photos
from roadclear.data.near_duplicates.groups import group
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.augment import view
from roadclear.images.decode import decode
from roadclear.images.settings import AugmentSettings
from roadclear.metrics.classification import evaluate
from roadclear.model.fit import train_dense, train_linears
from roadclear.model.settings import HeadSettings

BASELINE = Path(__file__).with_name("regression.json")
ALARM = 1.15
PHOTOS, ROWS = 24, 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--save", action="store_true", help="make the medians of this run the baseline")
    arguments = parser.parse_args()
    print(describe("openvino", "numpy", "pillow"))
    with tempfile.TemporaryDirectory() as folder:
        stages = make_stages(Path(folder))
        ratios: dict[str, list[float]] = {name: [] for name in stages}
        for number in range(arguments.rounds + 1):
            for name, stage in stages.items():
                loop = seconds(calibrated_loop)
                ratio = seconds(stage) / loop
                if number:  # the first round warms up
                    ratios[name].append(ratio)
    medians = {name: round(median(values), 3) for name, values in ratios.items()}
    baselines = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if arguments.save:
        BASELINE.write_text(json.dumps({**baselines, processor(): medians}, indent=1, sort_keys=True) + "\n")
    before = baselines.get(processor(), {})
    rows = [
        (name, f"{ratio:.2f}", f"{before[name]:.2f}", f"{ratio / before[name]:.2f}")
        if name in before
        else (name, f"{ratio:.2f}", "none", "")
        for name, ratio in medians.items()
    ]
    print(table(("stage", "ratio to the loop", "baseline", "against it"), rows))
    slower = [name for name, ratio in medians.items() if name in before and ratio > ALARM * before[name]]
    if slower and not arguments.save:
        sys.exit(f"slower by more than {ALARM - 1:.0%}: {', '.join(slower)}")


def seconds(stage: Callable[[], object]) -> float:
    """Processor time of all threads."""
    started = time.process_time()
    stage()
    return time.process_time() - started


def calibrated_loop() -> None:
    """Some 50 ms of matrix products and plain Python."""
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(256, 256)).astype(np.float32)
    for _ in range(40):
        matrix = np.tanh(matrix @ matrix.T / 256)
    total = 0
    for number in range(400_000):
        total += number % 7


def make_stages(folder: Path) -> dict[str, Callable[[], object]]:
    """Name the stages, each as a function without arguments that does the same work every time."""
    draw = np.random.default_rng(0)
    paths = draw_photos(folder / "photos", PHOTOS)
    contents = [path.read_bytes() for path in paths]
    squares = [decode(content, 224) for content in contents]
    targets = draw.integers(0, 2, ROWS)
    embeddings = np.abs(draw.normal(size=(ROWS, 1280)) + 0.1 * targets[:, None]).astype(np.float32)
    fingerprints = draw.integers(0, 2**63, (ROWS, 2), dtype=np.uint64)
    half = np.arange(ROWS) < ROWS // 2
    splits = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    probability = draw.random(ROWS)
    weights = load_weights()

    def extract() -> None:
        with open_cache(None) as cache:
            extractor = FeatureExtractor(FeatureSpace(weights, 224, "openvino", "f32"), AugmentSettings(), cache)
            for _ in extractor.extract(paths, [0]):
                pass

    return {
        "decode": lambda: [decode(content, 224) for content in contents],
        "views": lambda: [view(square, "seed", 1, AugmentSettings()) for square in squares],
        "extract": extract,
        "look-alikes": lambda: group(fingerprints, embeddings),
        "dense head": lambda: train_dense(
            [embeddings[half]],
            targets[half],
            (embeddings[~half], targets[~half]),
            HeadSettings(epochs=4, patience=4),
        ),
        "linear heads": lambda: train_linears([embeddings], targets, splits),
        "metrics": lambda: [evaluate(targets == 1, probability, 0.5, np.arange(ROWS)) for _ in range(20)],
    }


if __name__ == "__main__":
    main()
