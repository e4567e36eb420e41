"""Accuracy against seconds: roadclear at each setting of its dial, beside the recipe in Keras and in PyTorch.

    python benchmarks/dial.py PHOTOS [--seeds 3] [--keras-python PATH] [--plot docs/dial.svg]

Every point is a whole process, from its start to the saved model, with an empty feature cache. Each seed is another
split, and all trainings of a seed test on the same photos. The accuracy is the mean over the seeds.

Keras trains from random weights, because its ImageNet file is a download. Its arithmetic, and so its time, is the same.
Its point has the accuracy of the same frozen recipe in PyTorch, on roadclear's weights, and is drawn hollow.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
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
KERAS = "Keras, frozen, 20 epochs"
EPOCHS = {FROZEN: ("20", "0"), TUNED: ("10", "10")}


@dataclass
class Point:
    """Seconds and test accuracy of one way to train, one of each a seed."""

    seconds: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rival-seeds", type=int, default=1, help="seeds for Keras and PyTorch, which take minutes")
    parser.add_argument("--keras-python", help="an interpreter that has Keras and TensorFlow; without it no Keras")
    parser.add_argument("--plot", type=Path, help="SVG file to write")
    arguments = parser.parse_args()
    print(describe("openvino", "torch", "tensorflow-cpu", "keras"))
    points: dict[str, Point] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            for name, options in DIAL.items():
                add(
                    points,
                    name,
                    *ours(arguments.photos, Path(folder, f"{seed}-{len(points)}-{name[:3]}"), seed, options),
                )
            if seed < arguments.rival_seeds:
                splits = next(Path(folder).glob(f"{seed}-*/splits.csv"))
                for name, epochs in EPOCHS.items():
                    add(points, name, *in_pytorch(arguments.photos, splits, seed, epochs))
                if arguments.keras_python:
                    seconds = in_keras(arguments.keras_python, arguments.photos, splits)
                    add(points, KERAS, seconds, points[FROZEN].accuracy[seed])
    print(result_table(points))
    if arguments.plot:
        draw(points, arguments.plot)


def ours(photos: str, out: Path, seed: int, options: Sequence[str]) -> tuple[float, float]:
    """Seconds and test accuracy of `roadclear train`."""
    with tempfile.TemporaryDirectory() as cache:
        command = [*ROADCLEAR, "train", photos, "--no-report", "--seed", str(seed), "--out", str(out), *options]
        seconds = run(command, {"ROADCLEAR_CACHE_DIR": cache})
    return seconds, json.loads((out / "metrics.json").read_text())["test"]["accuracy"]["value"]


def in_pytorch(photos: str, splits: Path, seed: int, epochs: tuple[str, str]) -> tuple[float, float]:
    """Seconds and test accuracy of `torch_recipe.py`."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "out.npz"))
        command = [sys.executable, str(HERE / "torch_recipe.py"), photos, str(splits), out, "--seed", str(seed)]
        seconds = run([*command, "--epochs", epochs[0], "--fine-tune-epochs", epochs[1]])
        with np.load(out) as found:
            right = (found["probabilities"] >= 0.5) == (found["targets"] == 1)
    return seconds, float(right.mean())


def in_keras(python: str, photos: str, splits: Path) -> float:
    """Seconds of `keras_recipe.py`."""
    with tempfile.TemporaryDirectory() as folder:
        return run([python, str(HERE / "keras_recipe.py"), "train", photos, str(splits), str(Path(folder, "m.keras"))])


def add(points: dict[str, Point], name: str, seconds: float, accuracy: float) -> None:
    point = points.setdefault(name, Point())
    point.seconds.append(seconds)
    point.accuracy.append(accuracy)
    print(f"{name}: {seconds:.1f} s, {accuracy:.4f}", file=sys.stderr, flush=True)


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
    """Draw the points as an SVG that is readable on light and dark pages."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "roadclear"
    figure = Figure((7.2, 4.2), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    for name, point in points.items():
        own = name in DIAL
        x, y = median(point.seconds), float(np.mean(point.accuracy))
        axes.plot(
            x, y, marker="o" if own else "s", color="#0b6e4f" if own else "#8a4b08", markersize=8,
            fillstyle="none" if name == KERAS else "full",
        )  # fmt: skip
        axes.annotate(f" {name}", (x, y), xytext=(7, 4), textcoords="offset points", fontsize=9)
    line = [(median(points[name].seconds), float(np.mean(points[name].accuracy))) for name in DIAL]
    axes.plot(*zip(*line, strict=True), color="#0b6e4f", linewidth=1, alpha=0.5)
    axes.set_xscale("log")
    axes.set_xlabel("seconds from start to saved model (logarithmic)")
    axes.set_ylabel("accuracy on test photos")
    axes.grid(alpha=0.3)
    axes.margins(x=0.25, y=0.2)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
