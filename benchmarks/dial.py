"""Accuracy against seconds: roadclear at each setting of its dial, beside the recipe in Keras and in PyTorch.

    python benchmarks/dial.py PHOTOS STORE [--seeds 3] [--only ours] [--keras-python PATH] [--plot docs/images/dial.svg]

Every point is a whole process, from its start to the saved model, with an empty feature cache. Each seed is another
split, and all trainings of a seed test on the same photos. The accuracy is the mean over the seeds.

Every result is appended to a table in STORE. Results that are there are not measured again, so the benchmark may be
ended at any moment, and measured in parts by --only.

Keras trains from random weights, because its ImageNet file is a download. Its arithmetic, and so its time, is the same.
Its point has the accuracy of the same frozen recipe in PyTorch, on roadclear's weights, and is drawn hollow.
"""

import argparse
import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from machine import ROADCLEAR, describe, median, run, spread, table

HERE = Path(__file__).parent
DIAL = {
    "linear head, no views": ("--head", "linear", "--views", "0"),
    "default": (),
    "--unfreeze 4": ("--unfreeze", "4"),
    "--unfreeze 8": ("--unfreeze", "8"),
}
FROZEN = "PyTorch, frozen, 20 epochs"
TUNED = "PyTorch, two phases, 10 + 10 epochs"
FASTAI = "fastai's fine_tune(4) in PyTorch"
KERAS = "Keras, frozen, 20 epochs"
BELOW = ("linear head, no views", "--unfreeze 4", FROZEN)
TICKS = (2, 5, 10, 20, 50, 100, 200)
RESULTS = "results.csv"
RECIPES = {
    FROZEN: ("--epochs", "20", "--fine-tune-epochs", "0"),
    TUNED: ("--epochs", "10", "--fine-tune-epochs", "10"),
    FASTAI: ("--fastai", "4"),
}


@dataclass
class Point:
    """Seconds and test accuracy of one way to train, by seed."""

    by_seed: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> list[float]:
        """Seconds of every seed."""
        return [seconds for seconds, _ in self.by_seed.values()]

    @property
    def accuracy(self) -> list[float]:
        """Test accuracy of every seed."""
        return [accuracy for _, accuracy in self.by_seed.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("store", type=Path, help="folder of results; gone on with where there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rival-seeds", type=int, default=1, help="seeds for Keras and PyTorch, which take minutes")
    parser.add_argument("--only", nargs="*", choices=["ours", *RECIPES, KERAS], help="measure only these")
    parser.add_argument("--keras-python", help="an interpreter that has Keras and TensorFlow; without it no Keras")
    parser.add_argument("--plot", type=Path, help="SVG file to write")
    arguments = parser.parse_args()
    print(describe("openvino", "torch", "tensorflow-cpu", "keras"))
    arguments.store.mkdir(exist_ok=True)
    points = read(arguments.store / RESULTS)
    for seed in range(arguments.seeds):
        measure_seed(arguments, seed, points)
    print(result_table(points))
    if arguments.plot:
        draw(points, arguments.plot)


def measure_seed(arguments: argparse.Namespace, seed: int, points: dict[str, Point]) -> None:
    """Measure what is asked for and not there yet. The first training of a seed draws the split of all."""
    wanted = arguments.only or ["ours", *RECIPES, KERAS]
    splits = arguments.store / f"splits-{seed}.csv"

    def once(name: str, measure: Callable[[], tuple[float, float]]) -> None:
        if seed in points.get(name, Point()).by_seed:
            return
        seconds, accuracy = measure()
        with (arguments.store / RESULTS).open("a", newline="") as lines:
            csv.writer(lines).writerow((name, seed, round(seconds, 2), accuracy))
        points.setdefault(name, Point()).by_seed[seed] = (seconds, accuracy)
        print(f"{name}, seed {seed}: {seconds:.1f} s, {accuracy:.4f}", file=sys.stderr, flush=True)

    if "ours" in wanted or not splits.exists():
        for name, options in DIAL.items():
            once(name, partial(ours, arguments.photos, splits, seed, options))
    if seed >= arguments.rival_seeds:
        return
    for name, options in RECIPES.items():
        if name in wanted:
            once(name, partial(in_pytorch, arguments.photos, splits, seed, options))
    if KERAS in wanted and arguments.keras_python and seed in points.get(FROZEN, Point()).by_seed:
        accuracy = points[FROZEN].by_seed[seed][1]
        once(KERAS, lambda: (in_keras(arguments.keras_python, arguments.photos, splits), accuracy))


def read(file: Path) -> dict[str, Point]:
    """Read what an earlier call measured."""
    points: dict[str, Point] = {}
    if file.exists():
        with file.open(newline="") as lines:
            for name, seed, seconds, accuracy in csv.reader(lines):
                points.setdefault(name, Point()).by_seed[int(seed)] = (float(seconds), float(accuracy))
    return points


def ours(photos: str, splits: Path, seed: int, options: Sequence[str]) -> tuple[float, float]:
    """Seconds and test accuracy of `roadclear train`. Its split is kept."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        command = [*ROADCLEAR, "train", photos, "--no-report", "--seed", str(seed), "--out", str(out), *options]
        seconds = run(command, {"ROADCLEAR_CACHE_DIR": str(Path(folder, "cache"))})
        shutil.copy(out / "splits.csv", splits)
        return seconds, json.loads((out / "metrics.json").read_text())["test"]["accuracy"]["value"]


def in_pytorch(photos: str, splits: Path, seed: int, options: Sequence[str]) -> tuple[float, float]:
    """Seconds and test accuracy of `torch_recipe.py`."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "out.npz"))
        command = [sys.executable, str(HERE / "torch_recipe.py"), photos, str(splits), out, "--seed", str(seed)]
        seconds = run([*command, *options])
        with np.load(out) as found:
            right = (found["probabilities"] >= 0.5) == (found["targets"] == 1)
    return seconds, float(right.mean())


def in_keras(python: str, photos: str, splits: Path) -> float:
    """Seconds of `keras_recipe.py`."""
    with tempfile.TemporaryDirectory() as folder:
        return run([python, str(HERE / "keras_recipe.py"), "train", photos, str(splits), str(Path(folder, "m.keras"))])


def result_table(points: dict[str, Point]) -> str:
    slowest = max(median(point.seconds) for point in points.values())
    rows = [
        (
            name,
            len(point.seconds),
            spread(point.seconds, 1),
            f"{np.mean(point.accuracy):.4f} ({min(point.accuracy):.4f} to {max(point.accuracy):.4f})",
            f"{slowest / median(point.seconds):.1f}",
        )
        for name, point in points.items()
    ]
    return table(("", "seeds", "seconds", "test accuracy", "times as fast as the slowest"), rows)


def draw(points: dict[str, Point], file: Path) -> None:
    """Draw the points as an SVG that is readable on light and dark pages.

    Accuracies are of the splits that all have in common. Another split has harder or easier test photos.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "roadclear"
    figure = Figure((7.2, 4.2), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    common = set.intersection(*(set(point.by_seed) for point in points.values()))

    def place(point: Point) -> tuple[float, float]:
        return median(point.seconds), float(np.mean([point.by_seed[seed][1] for seed in common]))

    for name, point in points.items():
        own = name in DIAL
        x, y = place(point)
        axes.plot(
            x, y, marker="o" if own else "s", color="#0b6e4f" if own else "#8a4b08", markersize=8,
            fillstyle="none" if name == KERAS else "full",
        )  # fmt: skip
        # Points lie close together: some labels are below, and those of the rivals end at the point.
        label = {"xytext": (0, -16 if name in BELOW else 9), "textcoords": "offset points", "fontsize": 9}
        axes.annotate(name, (x, y), ha="center" if own else "right", **label)
    line = [place(points[name]) for name in DIAL if name in points]
    axes.plot(*zip(*line, strict=True), color="#0b6e4f", linewidth=1, alpha=0.5)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [str(seconds) for seconds in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("seconds from start to saved model (logarithmic)")
    axes.set_ylabel(f"accuracy on test photos, {len(common)} split{'s' if len(common) > 1 else ''}")
    axes.grid(alpha=0.3)
    axes.margins(x=0.25, y=0.2)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
