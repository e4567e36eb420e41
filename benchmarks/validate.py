"""How long does `roadclear validate` take? Bar: 60 s for 1,000 photos with the default options and known features.

    python benchmarks/validate.py PHOTOS [--photos 1000] [--runs 3]

With --photos, so many are copied to a temporary folder; where there are fewer, some are taken again with another
content. The first run, which does not count, fills the feature cache. Every run is a whole process: 5 folds, 3 times,
the dense head, and the learning curve of the linear one.
"""

import argparse
import json
import resource
import tempfile
from itertools import count
from pathlib import Path

from machine import ROADCLEAR, describe, interleaved, run, spread, table
from made_photos import multiply
from roadclear.data.dataset import load_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--photos", type=int, dest="number", help="how many to validate on, instead of all")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    print(describe("openvino", "scikit-learn", "numpy"))

    dataset = load_folder(arguments.photos)
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(arguments.photos)
        if arguments.number is not None:
            photos = Path(folder, "photos")
            for label in dataset.labels:
                originals = [photo.path for photo in dataset.photos if photo.label == label]
                multiply(originals, photos / label, arguments.number // 2)
        numbers = count()
        command = [*ROADCLEAR, "validate", str(photos), "--positive", dataset.labels[0], "--out"]

        processor: list[float] = []

        def validate() -> float:
            before = _processor_s()
            seconds = run([*command, f"{folder}/{next(numbers)}"], {"ROADCLEAR_CACHE_DIR": f"{folder}/cache"})
            processor.append(_processor_s() - before)
            return seconds

        (seconds,) = interleaved({"validate": validate}, arguments.runs).values()
        told = [json.loads(Path(folder, str(k), "validation.json").read_text()) for k in range(1, next(numbers))]

    print(f"{told[0]['photos']:,} photos, {arguments.runs} runs, seconds: median (smallest to largest)\n")
    stages = {stage: [values["seconds"][stage] for values in told] for stage in ("features", "heads", "curve")}
    timed = {"the whole process": seconds, "of all cores": processor[1:], **stages}
    print(table(("", "seconds"), [(name, spread(values)) for name, values in timed.items()]))
    accuracy = told[0]["metrics"]["accuracy"]
    low, high = accuracy["ci95"]
    print(f"\naccuracy {accuracy['value']:.3f} ({low:.3f} to {high:.3f}); {told[0]['learning_curve']['verdict']}")


def _processor_s() -> float:
    """Seconds of all cores that processes started here have used: what the wall clock says only on a quiet machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
