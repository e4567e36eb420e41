"""How well two nodes of one core each do the work of one process with all cores of a machine of two cores.

    python benchmarks/ray_efficiency.py 'shards/{0000..0009}.tar' [--rounds 2]

The source has ten shards or more of equal size. A round extracts the first two shards and then all shards, in one
process and on a Ray cluster of this machine, in turns. The difference of both times is free of start-up, on the cluster
as in the process. Processor seconds are those of this program, of the workers and of Ray's own programs.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roadclear.data.shards.mapping import MappedShard, ShardMap
from roadclear.data.shards.opening import open_source
from roadclear.data.shards.photo import Shard
from roadclear.training.config import PrepareSettings
from roadclear.training.from_shards import embedding_work
from roadclear.utils.executors import Executor, LocalExecutor, make_executor

_TICKS = os.sysconf("SC_CLK_TCK")
_FEW = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    shards = open_source(options.source)
    cluster = start_cluster()
    measured: dict[str, list[tuple[float, float, int]]] = {"one process": [], "two nodes": []}
    places: dict[str, Callable[[], Executor]] = {
        "one process": LocalExecutor,
        "two nodes": lambda: make_executor("ray"),
    }
    for _ in range(options.rounds):
        for name, make in places.items():
            few, all_of_them = (extract(make(), shards[:count]) for count in (_FEW, len(shards)))
            measured[name].append(tuple(b - a for a, b in zip(few, all_of_them, strict=True)))  # type: ignore[arg-type]
            print(f"{name}: first {_FEW} shards {few[0]:.1f} s, all {all_of_them[0]:.1f} s", flush=True)
    for name, rounds in measured.items():
        wall = statistics.median(photos / seconds for seconds, _, photos in rounds)
        cores = statistics.median(photos / seconds for _, seconds, photos in rounds)
        print(f"{name}: {wall:.1f} photos a second, {cores:.1f} photos a processor second")
    pairs = list(zip(measured["one process"], measured["two nodes"], strict=True))
    print(f"efficiency by the clock: {statistics.median(a[0] / b[0] for a, b in pairs):.2f}")
    print(f"efficiency by processor seconds: {statistics.median(a[1] / b[1] for a, b in pairs):.2f}")
    import ray

    ray.shutdown()
    cluster.shutdown()


def start_cluster() -> Any:
    """A head without cores and two nodes of one core, on this machine."""
    here, before = str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, before]))  # workers import this module too
    make_executor("ray")  # imports Ray without its statistics
    import ray
    from ray.cluster_utils import Cluster

    store = 100_000_000
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": store})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=store)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    return cluster


class Timed:
    """Function that adds the worker's number and processor seconds to its result."""

    def __init__(self, function: ShardMap) -> None:
        self._function = function

    def __call__(self, shard: Shard) -> tuple[MappedShard, int, float]:
        """Map a shard."""
        mapped = self._function(shard)
        return mapped, os.getpid(), time.process_time()


def extract(executor: Executor, shards: Sequence[Shard]) -> tuple[float, float, int]:
    """Seconds by the clock, processor seconds, and photos."""
    with tempfile.TemporaryDirectory() as folder:
        work = Timed(ShardMap(embedding_work(PrepareSettings(precision="f32")), folder))
        here, ray, started = time.process_time(), seconds_of_ray(), time.perf_counter()
        results = list(executor.map(work, shards))
        seconds, own = time.perf_counter() - started, time.process_time() - here
        workers: dict[int, float] = {}
        for _, process, used in results:
            workers[process] = max(used, workers.get(process, 0.0))
        workers.pop(os.getpid(), None)
        idle = 0.0 if not workers else seconds_of_ray() - ray
        return seconds, own + sum(workers.values()) + idle, sum(mapped.photos for mapped, _, _ in results)


def seconds_of_ray() -> float:
    """Processor seconds of Ray's own programs on this machine."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                name, _, values = (entry / "stat").read_text().rpartition(")")
            except OSError:
                continue
            if name.endswith(("(raylet", "(gcs_server")):
                ticks += sum(map(int, values.split()[11:13]))
    return ticks / _TICKS


if __name__ == "__main__":
    import ray_efficiency  # under its name, by which workers find its classes

    ray_efficiency.main()
