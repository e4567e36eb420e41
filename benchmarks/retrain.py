"""How soon a model is trained again after 10 photos were relabelled, measured in three ways.

Bars: 5 times sooner than afresh, in under 1.5 s as a process, and under 0.5 s in a session.

    python benchmarks/retrain.py PHOTOS [--photos 1000] [--runs 5]

The photos are copied to a temporary folder; where there are fewer, some are taken again with another content. A fresh
run has an empty feature cache. Before a retraining 10 photos are moved to the other label; the cache is
that of the first training. Both are whole processes, in turns. A session stays in one process: measured is
the time from the moved files to cross-validated and tested numbers.
"""

import argparse
import tempfile
import time
from itertools import count, cycle
from pathlib import Path

from machine import ROADCLEAR, describe, interleaved, median, run, spread, table
from made_photos import multiply
from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache
from roadclear.training.config import TrainSettings
from roadclear.training.session import Session

MOVED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--photos", type=int, default=1000, dest="number", help="how many to train on")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(describe("openvino", "numpy"))

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

        def move() -> None:
            source, target = (Path(folder, "photos", label) for label in next(movements))
            for path in sorted(source.glob("*"))[:MOVED]:
                path.rename(target / f"moved-{path.name}")

        def retrain() -> float:
            move()
            return train("kept")

        train("kept")
        with open_cache(Path(folder, "kept", "features.sqlite")) as cache:
            session = Session(TrainSettings(positive=dataset.labels[0]), cache)
            session.update(load_folder(f"{folder}/photos"))

            def update() -> float:
                move()
                started = time.perf_counter()
                session.update(load_folder(f"{folder}/photos"))
                return time.perf_counter() - started

            variants = {
                "afresh": lambda: train(f"cache-{next(numbers)}"),
                f"again, {MOVED} photos moved": retrain,
                "in a session": update,
            }
            seconds = interleaved(variants, arguments.runs)

    print(f"{arguments.number:,} photos, {arguments.runs} runs in turns, seconds: median (smallest to largest)\n")
    print(table(("", "seconds"), [(name, spread(values)) for name, values in seconds.items()]))
    fresh, again, updated = (median(values) for values in seconds.values())
    print(f"\nratios of the medians: {fresh / again:.1f} as a process, {fresh / updated:.1f} in a session")


if __name__ == "__main__":
    main()
