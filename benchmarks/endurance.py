"""Does the package hold against many damaged files, and against kills? Bar: no fault in a million mutants.

    nice -n 15 python benchmarks/endurance.py [--mutants 1000000] [--kills 1000] [--minutes 60] [--state FILE]

Mutants are photos of every format, model files, weights, checkpoints, feature caches, tables, settings and archives
with random damage. Each must be read, or refused with one printable sentence. `attacks.py` says what is wrong.
Kills end clean, restore, apply, undo, split, train and collect at random moments. `kills.py` says what must hold.

Mutants run in a forked process, one after the other. A mutant that takes 10 seconds of the processor, or 120 of the
clock, is a hang. With `--state` the counts are kept in a file, and the next run goes on from there. The exit code is 1
if there was any fault. Faults are printed with their class and number, which make the mutant again with the same seed.
Set TMPDIR to a folder in memory (/dev/shm) to spare the disk.
"""

import argparse
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import describe, table

BATCH = 500
HANG_CPU_SECONDS = 10
HANG_SECONDS = 120
OUTCOMES = ("survived", "refused", "traceback", "crash", "hang", "wrong")
FAULTS = OUTCOMES[2:]


@dataclass
class Tally:
    """Counts of a class. A crash is a process that ended by a signal."""

    attempts: int = 0
    survived: int = 0
    refused: int = 0
    traceback: int = 0
    crash: int = 0
    hang: int = 0
    wrong: int = 0
    worst_cpu_s: float = 0.0
    most_mb: float = 0.0

    def add(self, outcome: str, cpu: float = 0.0) -> None:
        """Count an attempt."""
        self.attempts += 1
        setattr(self, outcome, getattr(self, outcome) + 1)
        self.worst_cpu_s = max(self.worst_cpu_s, cpu)

    @property
    def faults(self) -> int:
        """Number of attempts with a fault."""
        return sum(getattr(self, outcome) for outcome in FAULTS)


class State:
    """Counts of all classes, in a file if there is one."""

    def __init__(self, path: Path | None, seed: int) -> None:
        self._path, self.seed = path, seed
        self.tallies: dict[str, Tally] = {}
        self.faults: list[list[Any]] = []
        self._before, self._began = 0.0, time.monotonic()
        if path is not None and path.exists():
            kept = json.loads(path.read_text())
            if kept["seed"] != seed:
                sys.exit(f"expected the seed {kept['seed']} of {path}, found {seed}: name another file")
            self.tallies = {name: Tally(**values) for name, values in kept["classes"].items()}
            self.faults, self._before = kept["faults"], kept["minutes"]

    @property
    def minutes(self) -> float:
        """Minutes of all runs so far."""
        return self._before + (time.monotonic() - self._began) / 60

    def of(self, name: str) -> Tally:
        """Counts of a class."""
        return self.tallies.setdefault(name, Tally())

    def fault(self, name: str, number: int, outcome: str, error: str) -> None:
        """Note and print a fault."""
        self.faults.append([name, number, outcome, error])
        print(f"\n{name}, number {number}: {outcome} {error}", file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write the file."""
        if self._path is None:
            return
        classes = {name: asdict(tally) for name, tally in self.tallies.items()}
        values = {"seed": self.seed, "minutes": self.minutes, "classes": classes, "faults": self.faults}
        half = self._path.with_suffix(".half")
        half.write_text(json.dumps(values, indent=1))
        half.replace(self._path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="time after which no new batch begins")
    parser.add_argument("--state", type=Path, help="file that keeps the counts, to go on later")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
    warnings.simplefilter("ignore")

    print(describe("openvino", "pillow", "pillow-heif", "numpy"), flush=True)
    state = State(arguments.state, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            end = time.monotonic() + 60 * arguments.minutes
            kill(state, arguments.kills, Path(folder), end - 30 * arguments.minutes)
            mutate(state, arguments.mutants, Path(folder), end)
        finally:
            state.save()
    report(state)
    sys.exit(1 if state.faults else 0)


def mutate(state: State, mutants: int, folder: Path, end: float) -> None:
    """Attack with mutants, class by class in batches, so that all classes have the same share when the time is over."""
    from attacks import attacks

    found = attacks()
    whole = sum(attack.share for attack in found)
    wanted = {attack.name: round(mutants * attack.share / whole) for attack in found}
    while time.monotonic() < end:
        left = [attack for attack in found if state.of(attack.name).attempts < wanted[attack.name]]
        if not left:
            return
        attack = min(left, key=lambda one: state.of(one.name).attempts / wanted[one.name])
        place = folder / "mutants" / attack.name.replace(":", "").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        batch = max(min(BATCH, attack.share // 100), 1)
        run_batch(state, attack, min(batch, wanted[attack.name] - state.of(attack.name).attempts), place)
        state.save()
        count = sum(state.of(one.name).attempts for one in found)
        print(f"\r{count:,} mutants, {len(state.faults)} faults ", end="", file=sys.stderr, flush=True)


def run_batch(state: State, attack: Any, count: int, folder: Path) -> None:
    """Run some mutants of a class in a forked process, and count how each ends. The process ends with a fault in it."""
    tally = state.of(attack.name)
    first, stop = tally.attempts, tally.attempts + count
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        work(attack, state.seed, range(first, stop), folder, writing)
    os.close(writing)
    hung = False
    for line in lines(reading):
        if line is None:
            hung = True
            os.kill(child, signal.SIGKILL)
            break
        outcome, cpu, megabytes, error = json.loads(line)
        tally.most_mb = max(tally.most_mb, megabytes)
        if outcome in FAULTS:
            state.fault(attack.name, tally.attempts, outcome, error)
        tally.add(outcome, cpu)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    if tally.attempts < stop:  # the process ended by itself, or by its timer
        outcome = "hang" if hung or os.WTERMSIG(status) == signal.SIGPROF else "crash"
        state.fault(attack.name, tally.attempts, outcome, f"status {status}")
        tally.add(outcome, HANG_CPU_SECONDS if outcome == "hang" else 0)


def lines(reading: int) -> Iterator[bytes | None]:
    """The lines of a pipe as they come. The last is None if nothing came for too long."""
    rest = b""
    while select.select([reading], [], [], HANG_SECONDS)[0]:
        data = os.read(reading, 65_536)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from whole
    yield None


def work(attack: Any, seed: int, numbers: range, folder: Path, writing: int) -> None:
    """Run mutants in a child process, and write a line about each. Never returns."""
    from attacks import judge

    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)  # libraries complain about every mutant
        before = peak()
        for number in numbers:
            signal.setitimer(signal.ITIMER_PROF, HANG_CPU_SECONDS)
            began = time.process_time()
            outcome, error = judge(attack, seed, number, folder)
            line = [outcome, time.process_time() - began, peak() - before, error]
            os.write(writing, json.dumps(line).encode() + b"\n")
    finally:
        os._exit(0)


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def kill(state: State, kills: int, folder: Path, end: float) -> None:
    """Kill work at random moments. Only kills that came before the end of the work count."""
    from attacks import WrongResultError
    from kills import SHARES, kinds

    wanted = {name: round(kills * share / sum(SHARES.values())) for name, share in SHARES.items()}
    names = {name: f"kill: {name}" for name in SHARES}
    if all(state.of(names[name]).attempts >= wanted[name] for name in SHARES):
        return
    with kinds(folder / "kills") as made:
        draw = random.Random(f"{state.seed} {sum(state.of(name).attempts for name in names.values())}")
        while time.monotonic() < end:
            left = [name for name in SHARES if state.of(names[name]).attempts < wanted[name]]
            if not left:
                return
            name = min(left, key=lambda one: state.of(names[one]).attempts / wanted[one])
            tally = state.of(names[name])
            try:
                if made[name].round(draw):
                    tally.add("survived")
            except Exception as error:
                outcome = {WrongResultError: "wrong", TimeoutError: "hang"}.get(type(error), "traceback")
                state.fault(names[name], tally.attempts, outcome, f"{type(error).__name__}: {error}"[:500])
                tally.add(outcome)
            state.save()
            count = sum(state.of(one).attempts for one in names.values())
            print(f"\r{count:,} kills, {len(state.faults)} faults ", end="", file=sys.stderr, flush=True)


def report(state: State) -> None:
    """Print a table of all classes."""
    rows = []
    for name, tally in state.tallies.items():
        counts = [f"{getattr(tally, outcome):,}" for outcome in OUTCOMES]
        cost = [f"{tally.worst_cpu_s:.2f}", f"{tally.most_mb:.0f}"] if not name.startswith("kill") else ["", ""]
        rows.append([name, f"{tally.attempts:,}", *counts, *cost])
    columns = ("class", "attempts", "survived", "refused", "tracebacks", "crashes", "hangs", "wrong results")
    print(f"\n{table((*columns, 'worst CPU s', 'memory MB'), rows)}\n")
    kills = sum(tally.attempts for name, tally in state.tallies.items() if name.startswith("kill"))
    mutants = sum(tally.attempts for tally in state.tallies.values()) - kills
    faults = sum(tally.faults for tally in state.tallies.values())
    print(
        f"{mutants:,} mutants and {kills:,} kills in {state.minutes:.0f} minutes, seed {state.seed}: {faults:,} faults"
    )


if __name__ == "__main__":
    main()
