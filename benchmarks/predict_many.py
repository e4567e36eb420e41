"""Predict 10,000 photos: `roadclear predict` beside other pipelines of classification on the same files.

    python benchmarks/predict_many.py PHOTOS [--count 10000] [--only "roadclear predict" ...]
                                      [--rivals-python PATH] [--share 1]

The files are links to the photos again and again. Every side is a whole process, from its start to the last
probability, on all cores, with an input of 224 pixels. The model of `roadclear predict` is one of `roadclear train`
without views. The rivals have the same architecture (Ultralytics has yolo11n-cls) with random weights, which take as
long: see predict_rival.py. They run in the interpreter of --rivals-python.

Seconds are wall-clock and processor seconds. --share N gives slow sides a part of the files, one in N.
"""

import argparse
import itertools
import os
import resource
import sys
import tempfile
from pathlib import Path

from machine import ROADCLEAR, describe, run, table
from roadclear.data.dataset import load_folder
from roadclear.features.backbone.graph import build
from roadclear.features.backbone.weights import load_weights

RIVAL = Path(__file__).with_name("predict_rival.py")
OURS = "roadclear predict"
SIDES = (OURS, "onnxruntime", "timm", "ultralytics")
SLOW = ("timm", "ultralytics")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rivals-python", default=sys.executable, help="an interpreter that has the rivals")
    parser.add_argument("--share", type=int, default=1, help="slow rivals get one file in so many")
    arguments = parser.parse_args()
    print(describe("openvino", "onnxruntime", "pillow"))
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(side, arguments, Path(folder)) for side in arguments.only]
    print(table(("", "photos", "seconds", "processor seconds", "photos/s", "processor ms a photo"), rows))


def row(side: str, arguments: argparse.Namespace, folder: Path) -> tuple[object, ...]:
    count = arguments.count // (arguments.share if side in SLOW else 1)
    photos = linked(Path(arguments.photos), folder / f"{count} photos", count)
    command = command_of(side, arguments, photos, folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = run(command, {"YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(folder), "HF_HUB_OFFLINE": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = (side, f"{count:,}", f"{seconds:.1f}", f"{used:.1f}", f"{count / seconds:.0f}", f"{used / count * 1e3:.2f}")
    print(*found, sep=" | ", file=sys.stderr, flush=True)
    return found


def linked(photos: Path, folder: Path, count: int) -> Path:
    """Make a folder of links to photos, again and again up to a number."""
    if not folder.exists():
        folder.mkdir()
        files = itertools.cycle(photo.path.resolve() for photo in load_folder(photos).photos)
        for number, path in enumerate(itertools.islice(files, count)):
            (folder / f"{number:06}{path.suffix}").symlink_to(path)
    return folder


def command_of(side: str, arguments: argparse.Namespace, photos: Path, folder: Path) -> list[str]:
    if side == OURS:
        model = folder / "run"
        run([*ROADCLEAR, "train", arguments.photos, "--no-report", "--views", "0", "--out", str(model)])
        run([*ROADCLEAR, "predict", str(model), str(next(photos.iterdir()))])  # compiles the model, and keeps it
        return [*ROADCLEAR, "predict", str(model), str(photos), "--format", "csv"]
    graph = folder / "base.onnx"
    if not graph.exists():
        graph.write_bytes(build(load_weights(), 224).SerializeToString())
    return [arguments.rivals_python, str(RIVAL), side, str(photos), str(graph), str(len(os.sched_getaffinity(0)))]


if __name__ == "__main__":
    main()
