"""A Ray cluster of two nodes with one core each, started and stopped by tests."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stores import ENVIRONMENT

from roadclear.utils.ray_cluster import import_ray

STORE_BYTES = 100_000_000
MARK = "ROADCLEAR_TEST_CLUSTER"
"""Variable of the environment of all processes of the cluster. Its value is the number of the test's process."""


CLUSTER = "ROADCLEAR_CLUSTER"
"""Variable that asks for tests on a cluster: "some" for those that every change must pass, "all" for all."""

LONG = pytest.mark.skipif(os.environ.get(CLUSTER) != "all", reason="takes minutes on a cluster: nox -s cluster")


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Start a head without cores and two nodes of one core, and connect to them. Tests are skipped if nobody asked."""
    if CLUSTER not in os.environ:
        pytest.skip("runs in a process of its own: nox -s cluster")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, MARK: str(os.getpid())}.items():
            patch.setenv(name, value)
        # Workers import the tests' modules too.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
        ray = import_ray()
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
            ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def workers_of(title: str) -> list[int]:
    """Numbers of the cluster's processes with a title, as Ray gives it to an actor."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"{MARK}={os.getpid()}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if is_ours and title.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            continue
    return sorted(found)
