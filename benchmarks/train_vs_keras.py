"""How much sooner is `roadclear train` done than the same recipe in Keras? Bar: 20 times.

    python benchmarks/train_vs_keras.py PHOTOS [--runs 3] [--epochs 20] [--keras-python PATH]

Both are whole processes, from their start to the saved model, on the same photos and the same split, in turns.
The feature cache is empty at every start. `--epochs` is Keras' number of epochs.
"""

import argparse
import sys
import tempfile
from itertools import count
from pathlib import Path

from machine import ROADCLEAR, describe, interleaved, median, run, spread, table

RECIPE = Path(__file__).with_name("keras_recipe.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--keras-python", default=sys.executable, help="an interpreter that has Keras and TensorFlow")
    parser.add_argument("--keras-weights", default="none", help="none (random; as fast), imagenet, or a file")
    arguments = parser.parse_args()
    print(describe("openvino", "scikit-learn", "tensorflow-cpu", "tensorflow", "keras"))

    with tempfile.TemporaryDirectory() as folder:
        numbers = count()

        def roadclear() -> float:
            number = next(numbers)
            command = [*ROADCLEAR, "train", arguments.photos, "--no-report", "--out", f"{folder}/run-{number}"]
            return run(command, {"ROADCLEAR_CACHE_DIR": f"{folder}/cache-{number}"})

        def keras() -> float:
            splits = f"{folder}/run-0/splits.csv"
            options = ["--epochs", str(arguments.epochs), "--weights", arguments.keras_weights]
            command = [str(RECIPE), "train", arguments.photos, splits, f"{folder}/model.keras", *options]
            return run([arguments.keras_python, *command])

        seconds = interleaved(
            {"roadclear train": roadclear, f"Keras, {arguments.epochs} epochs": keras}, arguments.runs
        )
        photos = len(Path(folder, "run-0", "splits.csv").read_text(encoding="utf-8").splitlines()) - 1

    fast, slow = (median(values) for values in seconds.values())
    print(f"{photos:,} photos, {arguments.runs} runs in turns, seconds: median (smallest to largest)\n")
    rows = [(name, spread(values, 1), f"{slow / median(values):.1f}") for name, values in seconds.items()]
    print(table(("", "seconds", "times as fast as Keras"), rows))
    print(f"\nratio of the medians: {slow / fast:.1f}")


if __name__ == "__main__":
    main()
