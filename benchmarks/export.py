"""Every export of some runs: python benchmarks/export.py RUN... [--runtime DIR] [--to FORMAT...].

Each export is checked on the run's validation and test photos. The column "time" is the median time a photo, as a ratio
to model.onnx, which answers the same photos by turns. The last row of a run with openvino-int8 shows an export that
breaks the model: its ranges come from black photos.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from machine import describe
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.deploy.export.check import CheckPhotos, Row
from roadclear.deploy.export.export import ExportJob, export
from roadclear.deploy.export.settings import FORMATS, ExportSettings
from roadclear.training.run_folder import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--to", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--runtime", type=Path, help="folder with onnxruntime-web")
    given = parser.parse_args()
    print(describe(), "\n")
    print("| run | format | accuracy | flips | mean, largest change of the logit | map error | time | MB | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for folder in given.runs:
        run = Run.open(folder)
        numbers = {row.file: row.group for row in run.splits}
        photos = run.photos_of(VALIDATION, TEST)
        on = CheckPhotos(photos, [numbers[photo.file] for photo in photos], "validation and test photos")
        training = [photo.path for photo in run.photos_of(TRAIN)]
        shuffled = [training[k] for k in np.random.default_rng(0).permutation(len(training))]
        for k, to in enumerate(given.to):
            show(run, to, to, on, shuffled, given.runtime, first=k == 0)
        if "openvino-int8" in given.to:
            show(run, "openvino-int8", "int8, black photos", on, black_photos(), None)


def show(
    run: Run,
    to: str,
    name: str,
    on: CheckPhotos,
    calibration: Sequence[Path],
    runtime: Path | None,
    first: bool = False,
) -> None:
    with tempfile.TemporaryDirectory() as out:
        job = ExportJob(to, Path(out) / "out", on, calibration, ExportSettings(), runtime)
        result = export(run.model, job)
    if first:
        print(line(run.folder.name, "model.onnx", result.check.original, 1.0, ""))
    ratio = result.check.exported.milliseconds / result.check.original.milliseconds
    remark = "" if result.refused is None else "refused"
    print(line(run.folder.name, name, result.check.exported, ratio, remark), flush=True)
    if result.refused is not None:
        print(result.refused, file=sys.stderr)


def black_photos() -> list[Path]:
    folder = Path(tempfile.mkdtemp())
    paths = [folder / f"{k}.png" for k in range(10)]
    for path in paths:
        Image.new("RGB", (64, 64)).save(path)
    return paths


def line(run: str, name: str, row: Row, ratio: float, remark: str) -> str:
    low, high = row.accuracy.ci95
    cells = [
        run,
        name,
        f"{row.accuracy.value:.1%} ({low:.1%} to {high:.1%})",
        f"{row.flips}",
        f"{row.mean_change:.2g}, {row.largest_change:.2g}",
        f"{row.residual:.0e}",
        f"{ratio:.2f}",
        f"{row.megabytes:.1f}",
        remark,
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
