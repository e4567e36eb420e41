"""Does memory grow with the number of photos? Bar: flat from 1,000 to 100,000.

    python benchmarks/memory.py [--counts 1000 10000 100000] [--size 32]

For each number a new process extracts features of that many small photos into an empty cache, and reports the most
memory that it held (peak resident set size). The photos are copies of a few, each with a content of its own, so that
every one is read, decoded, run through the base and stored. `--size` is the input of the base; a small one changes how
long it takes, not how anything is queued. File names are made as they are asked for: a list of them is the
caller's.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from machine import describe, table
from made_photos import draw_photos, multiply
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache, read_info
from roadclear.features.extractor import FeatureExtractor
from roadclear.features.space import FeatureSpace
from roadclear.images.settings import AugmentSettings


class Numbered(Sequence):
    """Paths of the photos that `multiply` made."""

    def __init__(self, folder: str, count: int) -> None:
        self._folder = folder
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number):
        if not 0 <= number < self._count:
            raise IndexError(number)
        return f"{self._folder}/{number:06}.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--extract", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.extract is not None:
        print(json.dumps(extract(arguments.extract, arguments.counts[0], arguments.size)))
        return

    print(describe("openvino", "numpy"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        originals = draw_photos(Path(folder, "originals"), 8, 96, 64)
        multiply(originals, Path(folder, "photos"), max(arguments.counts))
        for count in sorted(arguments.counts):
            command = [sys.executable, __file__, "--extract", f"{folder}/photos", "--counts", str(count)]
            command += ["--size", str(arguments.size)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append((f"{count:,}", f"{found['peak'] / 1e6:.0f}", f"{count / found['seconds']:.0f}"))
            print(f"{count:,} photos: {found}", file=sys.stderr, flush=True)
    print(f"photos of 96 x 64 pixels, base at {arguments.size} pixels\n")
    print(table(("photos", "peak memory, MB", "photos/s"), rows))


def extract(folder: str, count: int, size: int) -> dict[str, float]:
    """Extract `count` photos: peak resident set size in bytes, and seconds."""
    started = time.perf_counter()
    with open_cache(None) as cache:
        space = FeatureSpace(load_weights(), size, "openvino", "f32")
        for result in FeatureExtractor(space, AugmentSettings(), cache).extract(Numbered(folder, count), [0]):
            assert isinstance(result, str), result
        assert read_info(cache.path).photos == count
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak": peak, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
