"""What the benchmarks share: the machine in words, processes timed in turns, and Markdown tables."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from roadclear.utils.threads import available_cores

ROADCLEAR = [sys.executable, "-c", "from roadclear.cli.app import main; main()"]
"""The command line, as a process that this interpreter starts."""


def describe(*packages: str) -> str:
    """Processor, cores, memory, system, Python, versions and the load of the last minute, as a Markdown list."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"{name} {found}" for name in ("roadclear", *packages) if (found := installed(name)) is not None]
    return "\n".join(
        [
            f"- {processor()}, {available_cores()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
            f"- Python {platform.python_version()}, {', '.join(versions)}",
            f"- load before the start: {os.getloadavg()[0]:.2f} (timings are worth something below 0.3)\n",
        ]
    )


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's model name, where the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Run a process to its end, its output kept back: seconds from start to exit.

    It may be cold: it is a process of its own. Only the operating system's file cache is warm.
    """
    started = time.perf_counter()
    # Bytecode is kept, as on a user's machine. Without it every start would compile the whole program.
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    elapsed = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with {done.returncode}:\n{done.stderr[-2000:]}")
    return elapsed


def interleaved(variants: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Call every variant once a round, so that a slow minute of the machine hits all alike.

    The first round warms up (file cache, compiled bytecode) and does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(runs + 1):
        for name, measure in variants.items():
            value = measure()
            if turn > 0:
                seconds[name].append(value)
            print(f"{'warm-up' if turn == 0 else f'run {turn}'}: {name}: {value:.3f}", file=sys.stderr, flush=True)
    return seconds


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median with the smallest and the largest value."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
