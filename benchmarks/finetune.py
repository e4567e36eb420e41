"""How much does it help to unfreeze the top of the base, and what does it cost? Accuracy over grouped folds, and time.

    python benchmarks/finetune.py PHOTOS CSV [--folds 5] [--repeats 3] [--unfreeze 0 2 4 8 11 17 auto]
                                             [--sizes 224 320] [--options "--finetune-epochs 20"]

Every case is a training as a process of its own with an empty feature cache, so that its time is that of a first run:
photos on disk to run folder, without report. Its line is appended to CSV when it is done; lines that are there are
not measured again, so that the benchmark may be ended at any moment and started again. The table is of all lines of
CSV that belong to the folds asked for.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from itertools import product
from pathlib import Path

import numpy as np

from machine import ROADCLEAR, describe, median, table
from roadclear.data.dataset import load_folder
from roadclear.data.folds import draw_folds, test_to_train
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.features.cache import open_cache
from roadclear.metrics.intervals import estimate
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData, prepare
from roadclear.utils.paths import default_cache_path

SEED = 0


@dataclass(frozen=True)
class Case:
    """What is measured: `options` are further ones of the command line."""

    size: int
    unfreeze: str
    options: str
    folds: int
    repeat: int
    fold: int


@dataclass(frozen=True)
class Measured:
    """On the test fold; `unfrozen` is what auto took, seconds are of the whole process and of parts of it."""

    photos: int
    accuracy: float
    roc_auc: float
    log_loss: float
    calibration_error: float
    unfrozen: int
    seconds: float
    features_s: float
    finetune_s: float
    peak_mib: float
    epochs: int
    load: float


def main() -> None:
    arguments = parsed()
    print(describe("openvino", "scikit-learn", "torch"))
    cases = [
        Case(size, unfreeze, arguments.options, arguments.folds, repeat, fold)
        for repeat, fold, size, unfreeze in product(
            range(arguments.repeats), range(arguments.folds), arguments.sizes, arguments.unfreeze
        )
    ]
    done = dict(read(arguments.csv))
    with tempfile.TemporaryDirectory() as folder:
        missing = [case for case in cases if case not in done]
        splits = write_splits(arguments, Path(folder)) if missing else {}
        for number, case in enumerate(missing, start=1):
            done[case] = measure(arguments.photos, case, splits[case.repeat, case.fold])
            append(arguments.csv, case, done[case])
            print(f"{number} of {len(missing)}: {case} {done[case]}", file=sys.stderr, flush=True)
    print(summary([(case, done[case]) for case in cases], arguments.folds))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("csv", type=Path, help="results; made where missing, gone on with where there")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--unfreeze", nargs="+", default=["0", "2", "4", "8", "11", "17", "auto"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[224])
    parser.add_argument("--options", default="", help="further options of roadclear train, in one argument")
    return parser.parse_args()


def write_splits(arguments: argparse.Namespace, folder: Path) -> dict[tuple[int, int], Path]:
    """A table of parts for every repeat and fold."""
    data = prepared(arguments.photos)
    folds = draw_folds(data.targets, data.groups, arguments.folds, arguments.repeats, SEED)
    written = {}
    for number, fold in enumerate(folds):
        parts = np.full(len(data.photos), TRAIN, dtype=object)
        parts[fold.validation], parts[fold.test] = VALIDATION, TEST
        path = folder / f"{number}.csv"
        with path.open("w", newline="") as lines:
            rows = zip((photo.file for photo in data.photos), parts, strict=True)
            csv.writer(lines).writerows([("file", "split"), *rows])
        written[fold.repeat, number % arguments.folds] = path
    return written


def prepared(photos: str) -> PreparedData:
    """Photos with their groups, as a training finds them; every photo must be readable."""
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(photos), TrainSettings(), cache)
    if data.skipped:
        sys.exit(f"{len(data.skipped)} photos cannot be read, the first being {data.skipped[0].file}: move them away")
    return data


def measure(photos: str, case: Case, split: Path) -> Measured:
    """Train in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*ROADCLEAR, "train", photos, "--out", f"{folder}/run", "--split", str(split), "--no-report"]
        command += ["--size", str(case.size), "--unfreeze", case.unfreeze]
        command += ["--seed", str(case.repeat * case.folds + case.fold), *case.options.split()]
        load, started = os.getloadavg()[0], time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, "ROADCLEAR_CACHE_DIR": f"{folder}/cache"}, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{' '.join(command)} failed")
        metrics = json.loads(Path(folder, "run", "metrics.json").read_text())
        epochs = len(Path(folder, "run", "history.csv").read_text().splitlines()) - 1
    test, timing = metrics["test"], metrics["timing"]
    return Measured(
        photos=test["accuracy"]["n"],
        accuracy=test["accuracy"]["value"],
        roc_auc=test["roc_auc"]["value"],
        log_loss=test["log_loss"]["value"],
        calibration_error=metrics["reliability"]["test"]["after_calibration"]["expected_error"],
        unfrozen=metrics["unfrozen"],
        seconds=round(seconds, 2),
        features_s=timing["features_s"],
        finetune_s=timing["finetune_s"],
        peak_mib=round(peak_mib(usage)),
        epochs=epochs,
        load=round(load, 2),
    )


def peak_mib(usage: resource.struct_rusage) -> float:
    """Peak memory of a process; Linux counts it in KiB, macOS in bytes."""
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def read(path: Path) -> Iterator[tuple[Case, Measured]]:
    """What is there already; a line that was cut by a kill is passed over."""
    if not path.exists():
        return
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if None not in row.values() and None not in row:
                yield from_row(Case, row), from_row(Measured, row)


def from_row(kind: type, row: dict[str, str]):
    return kind(**{field.name: field.type(row[field.name]) for field in fields(kind)})


def append(path: Path, case: Case, measured: Measured) -> None:
    is_new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="") as lines:
        writer = csv.writer(lines)
        if is_new:
            writer.writerow([*asdict(case), *asdict(measured)])
        writer.writerow([*astuple(case), *astuple(measured)])


def summary(results: list[tuple[Case, Measured]], folds: int) -> str:
    """One row a size and number of blocks: mean over folds and repeats, with its corrected interval."""
    rows = []
    for size, unfreeze in dict.fromkeys((case.size, case.unfreeze) for case, _ in results):
        chosen = [measured for case, measured in results if (case.size, case.unfreeze) == (size, unfreeze)]
        ratio = test_to_train(folds)
        accuracy, auc = (
            estimate(np.array([getattr(m, name) for m in chosen]), ratio, sum(m.photos for m in chosen))
            for name in ("accuracy", "roc_auc")
        )
        rows.append((
            size,
            unfreeze,
            f"{accuracy.value:.4f} ({accuracy.ci95[0]:.4f} to {accuracy.ci95[1]:.4f})",
            f"{min(m.accuracy for m in chosen):.4f}",
            f"{auc.value:.4f}",
            f"{np.mean([m.log_loss for m in chosen]):.3f}",
            f"{np.mean([m.calibration_error for m in chosen]):.3f}",
            f"{median([m.seconds for m in chosen]):.1f}",
            f"{median([m.finetune_s for m in chosen]):.1f}",
            f"{max(m.peak_mib for m in chosen):.0f}",
            len(chosen),
        ))  # fmt: skip
    columns = (
        "pixels",
        "unfrozen",
        "accuracy (95%)",
        "worst fold",
        "ROC AUC",
        "log-loss",
        "calibration error",
        "s",
        "of it fine-tuning",
        "MiB",
        "folds",
    )
    return table(columns, rows)


if __name__ == "__main__":
    main()
