"""Do processes that start together end well? Bar: no bad end in 500 starts.

    python benchmarks/starts.py [--starts 500] [--together 3] [--size 32] [--seconds 3000]

Each round starts several `roadclear` processes at once on a feature cache that does not exist yet. The processes race
for the cache file, and each opens an inference engine and a pool of threads. Rounds take turns: in one all split a
folder, in the next all train on it. A bad end is an exit code other than 0, such as a signal, or a line on stderr.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from machine import describe
from made_photos import draw_photos

START = (sys.executable, "-X", "faulthandler", "-c", "from roadclear.cli.app import main; main()")
PER_LABEL = 12
SECONDS_A_START = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=500)
    parser.add_argument("--together", type=int, default=3)
    parser.add_argument("--size", type=int, default=32, help="input size of the trainings")
    parser.add_argument("--seconds", type=float, default=3000, help="time after which no new round begins")
    arguments = parser.parse_args()

    print(describe("openvino", "numpy"), flush=True)
    ends: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        drawn = draw_photos(Path(folder, "drawn"), 2 * PER_LABEL, 96, 64)
        for label, number in (("crossing", 0), ("empty", PER_LABEL)):
            (photos / label).mkdir(parents=True)
            for photo in drawn[number : number + PER_LABEL]:
                photo.rename(photos / label / photo.name)
        while ends.total() < arguments.starts and time.monotonic() - began < arguments.seconds:
            for end in start_together(photos, arguments.together, arguments.size, train=ends.total() % 2 == 1):
                ends[end] += 1
            print(f"\r{ends.total()} starts", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    bad = {end: count for end, count in ends.items() if end != "well"}
    print(f"{ends.total()} starts, {arguments.together} at a time: {sum(bad.values())} bad ends {bad or ''}".rstrip())


def start_together(photos: Path, together: int, size: int, train: bool) -> list[str]:
    """Start processes at once on a fresh cache, and say how each ended."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**os.environ, "ROADCLEAR_CACHE_DIR": f"{folder}/cache"}
        processes = []
        for number in range(together):
            out = f"--out={folder}/{number}"
            words = ["train", photos, out, "--no-report", f"--size={size}", "--epochs=1"]
            command = [*START, *(words if train else ["split", photos, f"{out}.csv"])]
            pipe = subprocess.PIPE
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=pipe, text=True, env=settings))
        return [how_it_ended(process) for process in processes]


def how_it_ended(process: "subprocess.Popen[str]") -> str:
    """Wait for a process. Says "well", or the exit code; what the process wrote is printed."""
    try:
        _, errors = process.communicate(timeout=SECONDS_A_START)
    except subprocess.TimeoutExpired:
        process.kill()
        return "hung"
    if process.returncode or errors:
        print(f"exit code {process.returncode}: {errors}", flush=True)
        return f"exit code {process.returncode}"
    return "well"


if __name__ == "__main__":
    main()
