"""How soon is a model trained again after 10 photos were relabelled? Bar: 5 times sooner than afresh.

    python benchmarks/retrain.py PHOTOS [--photos 1000] [--runs 5]

The photos are copied to a temporary folder; where there are fewer, some are taken again with another content. A fresh
run has an empty feature cache. Before a retraining 10 photos are moved to the other label; the cache is
that of the first training. Both are whole processes, in turns.
"""

import argparse
import tempfile
from itertools import count, cycle
from pathlib import Path

from machine import ROADCLEAR, describe, interleaved, median, run, spread, table
from made_photos import multiply
from roadclear.data.dataset import load_folder

MOVED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--photos", type=int, default=1000, dest="number", help="how many to train on")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(describe("openvino", "scikit-learn"))

    dataset = load_folder(arguments.photos)
    with tempfile.TemporaryDirectory() as folder:
        for label in dataset.labels:
            originals = [photo.path for photo in dataset.photos if photo.label == label]
            multiply(originals, Path(folder, "photos", label), arguments.number // 2)
        numbers = count()
        movements = cycle([dataset.labels, dataset.labels[::-1]])

        def train(cache: str) -> float:
            command = [*ROADCLEAR, "train", f"{folder}/photos", "--no-report", "--positive", dataset.labels[0]]
            return run(
                [*command, "--out", f"{folder}/run-{next(numbers)}"], {"ROADCLEAR_CACHE_DIR": f"{folder}/{cache}"}
            )

        def retrain() -> float:
            source, target = (Path(folder, "photos", label) for label in next(movements))
            for path in sorted(source.glob("*"))[:MOVED]:
                path.rename(target / f"moved-{path.name}")
            return train("kept")

        train("kept")
        variants = {"afresh": lambda: train(f"cache-{next(numbers)}"), f"again, {MOVED} photos moved": retrain}
        seconds = interleaved(variants, arguments.runs)

    print(f"{arguments.number:,} photos, {arguments.runs} runs in turns, seconds: median (smallest to largest)\n")
    print(table(("", "seconds"), [(name, spread(values)) for name, values in seconds.items()]))
    fresh, again = (median(values) for values in seconds.values())
    print(f"\nratio of the medians: {fresh / again:.1f}")


if __name__ == "__main__":
    main()
