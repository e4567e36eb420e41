"""How long from pressing Enter to the label of one photo? Bars: under 0.6 s, and 5 times sooner than Keras.

    python benchmarks/cold_start.py [--run RUN] [--photo PHOTO] [--runs 7] [--keras-python PATH]

New processes in turns: `roadclear predict RUN PHOTO`, and Keras' `load_model` with one call. Without --run a small
model is trained on drawn photos first; how long it takes to load does not depend on what it was trained on.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from machine import ROADCLEAR, describe, interleaved, median, run, spread, table
from made_photos import draw_photos

RECIPE = Path(__file__).with_name("keras_recipe.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="a run folder")
    parser.add_argument("--photo")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--keras-python", default=sys.executable, help="an interpreter that has Keras and TensorFlow")
    arguments = parser.parse_args()
    print(describe("openvino", "typer", "tensorflow-cpu", "tensorflow", "keras"))

    with tempfile.TemporaryDirectory() as folder:
        trained = arguments.run or small_run(Path(folder))
        photo = arguments.photo or str(draw_photos(Path(folder, "one"), 1)[0])
        keras_model = f"{folder}/model.keras"
        run([arguments.keras_python, str(RECIPE), "build", keras_model])
        variants = {
            "Python alone": [sys.executable, "-c", ""],
            "roadclear --help": [*ROADCLEAR, "--help"],
            "roadclear predict": [*ROADCLEAR, "predict", trained, photo],
            "Keras, load and predict": [arguments.keras_python, str(RECIPE), "predict", keras_model, photo],
        }
        seconds = interleaved({name: lambda c=command: run(c) for name, command in variants.items()}, arguments.runs)

    print(f"one photo, {arguments.runs} new processes in turns, seconds: median (smallest to largest)\n")
    print(table(("", "seconds"), [(name, spread(values)) for name, values in seconds.items()]))
    ratio = median(seconds["Keras, load and predict"]) / median(seconds["roadclear predict"])
    print(f"\nratio of the medians: {ratio:.1f}")


def small_run(folder: Path) -> str:
    """A run folder, trained on drawn photos."""
    for path in draw_photos(folder / "drawn", 80, 96, 64):
        label = folder / "photos" / ("crossing" if int(path.stem) % 2 else "empty")
        label.mkdir(parents=True, exist_ok=True)
        path.rename(label / path.name)
    run(
        [*ROADCLEAR, "train", f"{folder}/photos", "--no-report", "--views", "0", "--no-cache", "--out", f"{folder}/run"]
    )
    return f"{folder}/run"


if __name__ == "__main__":
    main()
