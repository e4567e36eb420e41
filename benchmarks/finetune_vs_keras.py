"""Is `roadclear train --unfreeze` sooner done than Keras' recipe of fine-tuning, and as accurate? Bar: 3 times.

    python benchmarks/finetune_vs_keras.py PHOTOS CSV [--folds 5] [--first 5] [--repeats 1] [--unfreeze 4]
                                           [--options "..."] [--epochs 10] [--fine-tune-epochs 10] [--keras-python PATH]

On every grouped fold, in turns: `roadclear train` with an empty cache, judged at its own threshold, and the recipe (see
torch_recipe.py) on the same weights, judged at 0.5. Both are whole processes, from photos on disk to the saved model,
without report, on the same parts of the photos.

With --keras-python, the same recipe in Keras (see keras_recipe.py) is timed once, on the first fold. Its weights are
random, which takes as long, so it has no accuracy. Of the recipe's two times the shorter one is what roadclear has to
be held against.

Every line is appended to CSV when it is done; lines that are there are not measured again, so that the benchmark may be
ended at any moment and started again.
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import finetune
from machine import describe, median, run, spread, table
from roadclear.data.dataset import load_folder
from roadclear.data.folds import test_to_train
from roadclear.metrics.intervals import corrected_interval

TORCH_RECIPE, KERAS_RECIPE = (Path(__file__).with_name(name) for name in ("torch_recipe.py", "keras_recipe.py"))
FINE_TUNE_AT = 100

ROADCLEAR, TORCH, KERAS = "roadclear train", "recipe in PyTorch", "recipe in Keras"


@dataclass(frozen=True)
class Case:
    """What is measured; `options` are those of the command line that are not the same everywhere."""

    side: str
    options: str
    folds: int
    repeat: int
    fold: int

    @property
    def seed(self) -> int:
        """Of what is drawn in the training."""
        return self.repeat * self.folds + self.fold


@dataclass(frozen=True)
class Measured:
    """On the test fold; seconds are of the whole process, load is that of the minute before it."""

    photos: int
    accuracy: float
    roc_auc: float
    seconds: float
    load: float


def main() -> None:
    arguments = parsed()
    print(describe("openvino", "scikit-learn", "torch"))
    cases = planned(arguments)
    done = dict(read(arguments.csv))
    missing = [case for case in cases if case not in done]
    with tempfile.TemporaryDirectory() as folder:
        splits = write_splits(arguments, Path(folder)) if missing else {}
        for number, case in enumerate(missing, start=1):
            done[case] = measure(arguments, case, splits[case.repeat, case.fold])
            finetune.append(arguments.csv, case, done[case])
            print(f"{number} of {len(missing)}: {case} {done[case]}", file=sys.stderr, flush=True)
    print(summary({case: done[case] for case in cases}, arguments.folds))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("csv", type=Path, help="results; made where missing, gone on with where there")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--first", type=int, help="measure only the first so many folds; a fold takes four minutes")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--unfreeze", default="4")
    parser.add_argument("--options", default="", help="further options of roadclear train, in one argument")
    parser.add_argument("--epochs", type=int, default=10, help="of the recipe, with the base frozen")
    parser.add_argument("--fine-tune-epochs", type=int, default=10, help="of the recipe, after that")
    parser.add_argument("--keras-python", help="an interpreter that has Keras and TensorFlow")
    return parser.parse_args()


def planned(arguments: argparse.Namespace) -> list[Case]:
    """All cases, the sides in turns."""
    ours = f"--unfreeze {arguments.unfreeze} {arguments.options}".strip()
    recipe = f"--epochs {arguments.epochs} --fine-tune-epochs {arguments.fine_tune_epochs}"
    cases = [
        Case(side, options, arguments.folds, repeat, fold)
        for repeat in range(arguments.repeats)
        for fold in range(arguments.folds if arguments.first is None else arguments.first)
        for side, options in ((ROADCLEAR, ours), (TORCH, recipe))
    ]
    if arguments.keras_python:
        cases.insert(2, Case(KERAS, recipe, arguments.folds, 0, 0))
    return cases


def write_splits(arguments: argparse.Namespace, folder: Path) -> dict[tuple[int, int], Path]:
    """A table of parts and labels for every repeat and fold."""
    labels = {photo.file: photo.label for photo in load_folder(arguments.photos).photos}
    written = finetune.write_splits(arguments, folder)
    for path in written.values():
        with path.open(newline="") as lines:
            rows = [(row["file"], labels[row["file"]], row["split"]) for row in csv.DictReader(lines)]
        with path.open("w", newline="") as lines:
            csv.writer(lines).writerows([("file", "label", "split"), *rows])
    return written


def measure(arguments: argparse.Namespace, case: Case, split: Path) -> Measured:
    if case.side == ROADCLEAR:
        return measure_roadclear(arguments, case, split)
    with tempfile.TemporaryDirectory() as folder:
        if case.side == TORCH:
            return measure_torch(arguments.photos, case, split, f"{folder}/model.npz")
        return measure_keras(arguments, case, split, f"{folder}/model.keras")


def measure_roadclear(arguments: argparse.Namespace, case: Case, split: Path) -> Measured:
    same = finetune.Case(224, arguments.unfreeze, arguments.options, case.folds, case.repeat, case.fold)
    found = finetune.measure(arguments.photos, same, split)
    return Measured(found.photos, found.accuracy, found.roc_auc, found.seconds, found.load)


def measure_torch(photos: str, case: Case, split: Path, out: str) -> Measured:
    load = os.getloadavg()[0]
    command = [sys.executable, str(TORCH_RECIPE), photos, str(split), out, "--seed", str(case.seed)]
    seconds = run([*command, *case.options.split()])
    with np.load(out) as file:
        probabilities, positive = file["probabilities"], file["targets"] == 1
    accuracy = float(np.mean((probabilities >= 0.5) == positive))
    roc_auc = float(roc_auc_score(positive, probabilities))
    return Measured(len(positive), accuracy, roc_auc, round(seconds, 2), round(load, 2))


def measure_keras(arguments: argparse.Namespace, case: Case, split: Path, out: str) -> Measured:
    load = os.getloadavg()[0]
    command = [arguments.keras_python, str(KERAS_RECIPE), "train", arguments.photos, str(split), out]
    seconds = run([*command, "--fine-tune-at", str(FINE_TUNE_AT), *case.options.split()])
    return Measured(0, float("nan"), float("nan"), round(seconds, 2), round(load, 2))


def read(path: Path) -> Iterator[tuple[Case, Measured]]:
    """What is there already; a line that was cut by a kill is passed over."""
    if not path.exists():
        return
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if None not in row.values() and None not in row:
                yield finetune.from_row(Case, row), finetune.from_row(Measured, row)


def summary(results: dict[Case, Measured], folds: int) -> str:
    """One row a side, then roadclear against the recipe, fold by fold."""
    sides = {side: [case for case in results if case.side == side] for side in (ROADCLEAR, TORCH, KERAS)}

    def values(side: str, name: str) -> np.ndarray:
        return np.array([getattr(results[case], name) for case in sides[side]])

    rows = [
        (
            f"{side} {cases[0].options}",
            spread(values(side, "seconds"), 1),
            f"{median(values(side, 'seconds')) / median(values(ROADCLEAR, 'seconds')):.1f}",
            f"{values(side, 'accuracy').mean():.4f}",
            f"{values(side, 'roc_auc').mean():.4f}",
            len(cases),
        )
        for side, cases in sides.items()
        if cases
    ]
    columns = ("", "seconds", f"times {ROADCLEAR}", "accuracy", "ROC AUC", "folds")
    differences = [
        f"{words}, {ROADCLEAR} less {TORCH}: {paired(values(ROADCLEAR, name) - values(TORCH, name), folds)}"
        for name, words in (("accuracy", "accuracy"), ("roc_auc", "ROC AUC"))
    ]
    return "\n".join([table(columns, rows), "", *differences])


def paired(differences: np.ndarray, folds: int) -> str:
    """Mean of differences on the same folds, with its corrected interval."""
    low, high = corrected_interval(differences, test_to_train(folds))
    return f"{differences.mean():+.4f} (95% interval {low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
