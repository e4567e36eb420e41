"""Work on a cluster of two nodes with one core each, and an S3 server on loopback: what fails changes no result."""

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cluster_work import DEADLY, Dies, EndsDecoders, WithEndpoint, facts, refuse
from clusters import LONG, STORE_BYTES, two_nodes
from process import START
from scenes import draw_scene
from stores import BUCKET, put, s3_server, seldom, tar_bytes

from roadclear.data.shards.mapping import MappedShard, ShardMap, map_shards
from roadclear.data.shards.opening import open_source
from roadclear.errors import DatasetError, EngineError, OptionError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.shards.work import EmbeddingWork
from roadclear.features.space import FeatureSpace
from roadclear.images.settings import AugmentSettings
from roadclear.utils import ray_cluster, storage
from roadclear.utils.executors import LocalExecutor, make_executor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'roadclear[ray]'")
pytestmark = pytest.mark.slow

WORK = EmbeddingWork(FeatureSpace(load_weights("imagenet"), 32, "openvino", "f32"), AugmentSettings(views=1))
SHARDS, PHOTOS = 6, 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core, and a head without cores."""
    with two_nodes() as started:
        yield started


@pytest.fixture(scope="module")
def shards() -> dict[str, bytes]:
    """Six shards: one has a broken photo, and one is cut short."""
    found = {}
    for shard in range(SHARDS):
        members = {}
        for number in range(PHOTOS):
            members[f"{'ab'[number % 2]}/{number}.jpg"] = scene(10 * shard + number)
        found[f"{shard:04d}.tar"] = tar_bytes(members | ({"a/broken.jpg": b"no photo"} if shard == 1 else {}))
    found["0003.tar"] = found["0003.tar"][:-12_000]
    return found


@pytest.fixture(scope="module")
def source(shards: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for name, content in shards.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that this process computes by itself."""
    folder = tmp_path_factory.mktemp("local")
    mapped = list(map_shards(LocalExecutor(), ShardMap(WORK, str(folder)), open_source(source)))
    assert sum(shard.unreadable for shard in mapped) == 2 and all(shard.computed for shard in mapped)
    return files_in(folder)


def scene(number: int) -> bytes:
    file = BytesIO()
    draw_scene(number, figure=number % 2 == 0).save(file, "JPEG")
    return file.getvalue()


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def counts(mapped: list[MappedShard]) -> list[object]:
    return sorted((shard.name, shard.file, shard.photos, shard.unreadable, shard.examples) for shard in mapped)


def until(condition: Callable[[], object], seconds: float = 100) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "out of time"
        time.sleep(0.02)


class TestMap:
    @LONG
    def test_every_result_once_from_workers_of_one_core_that_report_nothing(self, cluster: Any) -> None:
        assert sorted(make_executor("ray").map(facts, range(20))) == [(number, 1, "0") for number in range(20)]

    @LONG
    def test_a_worker_that_dies_costs_its_item_only(self, cluster: Any, tmp_path: Path) -> None:
        assert sorted(make_executor("ray").map(Dies(tmp_path / "mark", always=False), range(6))) == list(range(6))
        assert (tmp_path / "mark").exists()

    @LONG
    def test_an_item_that_ends_every_worker_is_done_with_care(self, cluster: Any, tmp_path: Path) -> None:
        dies = Dies(tmp_path / "mark", always=True)
        assert sorted(make_executor("ray").map(dies, range(6), abs)) == list(range(6))

    @pytest.mark.parametrize(
        "number, kind, text", [(1, DatasetError, "found 1"), (2, EngineError, "ZeroDivisionError")]
    )
    def test_errors_of_a_worker_are_raised_here(self, number: int, kind: type[Exception], text: str) -> None:
        batch = {"number": [number], "item": [pickle.dumps(number)]}
        (answer,) = ray_cluster._answers(refuse, batch)["answer"]
        error = pickle.loads(answer).again()
        assert type(error) is kind and text in str(error)


class TestShards:
    def test_files_are_those_of_one_process_to_the_bit(
        self, cluster: Any, source: Path, expected: dict[str, bytes], tmp_path: Path
    ) -> None:
        work = ShardMap(WORK, str(tmp_path))
        mapped = list(map_shards(make_executor("ray"), work, open_source(source)))
        assert files_in(tmp_path) == expected
        again = list(map_shards(LocalExecutor(), work, open_source(source)))
        assert counts(again) == counts(mapped) and not any(shard.computed for shard in again)

    def test_a_store_that_refuses_and_a_node_that_is_killed_in_the_middle(
        self, cluster: Any, shards: dict[str, bytes], expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        with s3_server(seldom("503 Slow Down", "404 Not Found", every=6)) as address:
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            storage._file_system.cache_clear()
            for name, content in shards.items():
                put(address, f"in/{name}", content)
            work = WithEndpoint(ShardMap(WORK, f"s3://{BUCKET}/out"), address)

            def kill() -> None:
                until(lambda: storage.list_files(f"s3://{BUCKET}/out"))
                cluster.remove_node(node, allow_graceful=False)

            killer = threading.Thread(target=kill)
            killer.start()
            mapped = list(make_executor("ray").map(work, open_source(f"s3://{BUCKET}/in/{{0000..0005}}.tar")))
            killer.join()
            assert {shard.file for shard in mapped} == set(expected) and len(mapped) == SHARDS
            found = storage.list_files(f"s3://{BUCKET}/out")
            assert {name: storage.read(f"s3://{BUCKET}/out/{name}") for name in found} == expected
        storage._file_system.cache_clear()

    @LONG
    def test_a_photo_that_ends_decoders_is_a_row(
        self, cluster: Any, shards: dict[str, bytes], expected: dict[str, bytes], tmp_path: Path
    ) -> None:
        source, out = tmp_path / "in", tmp_path / "out"
        source.mkdir()
        for name in ("0000.tar", "0002.tar"):
            (source / name).write_bytes(shards[name])
        deadly = {"a/1.jpg": scene(1), "a/2.jpg": scene(2) + DEADLY, "b/3.jpg": scene(3)}
        (source / "deadly.tar").write_bytes(tar_bytes(deadly))
        mapped = list(map_shards(make_executor("ray"), ShardMap(EndsDecoders(WORK), str(out)), open_source(source)))
        assert {shard.name: (shard.photos, shard.unreadable) for shard in mapped} == {
            "0000": (4, 0),
            "0002": (4, 0),
            "deadly": (3, 1),
        }
        ((name, reason),) = next(shard.examples for shard in mapped if shard.examples)
        assert name == "deadly/a/2.jpg" and "its decoder ended" in reason
        found = files_in(out)
        assert len(found) == 3 and sum(expected.get(file) == content for file, content in found.items()) == 2

    @LONG
    def test_the_driver_is_killed_and_started_again(
        self, cluster: Any, source: Path, tmp_path: Path, expected: dict[str, bytes]
    ) -> None:
        words = [*START, "extract", str(source), "--size=32", "--precision=f32", "--on=ray", f"--to={tmp_path}"]
        values = {**os.environ, "RAY_ADDRESS": cluster.address}
        with subprocess.Popen(words, env=values, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as driver:
            until(lambda: files_in(tmp_path) or driver.poll() is not None)
            driver.kill()
        assert files_in(tmp_path).items() <= expected.items()
        done = subprocess.run(words, env=values, capture_output=True, text=True, timeout=200)
        assert done.returncode == 3, done.stderr
        assert files_in(tmp_path) == expected
        lines = done.stderr.splitlines()
        assert lines[0] == "2 rows could not be used:" and len(lines) == 3, done.stderr
        assert "photos in 6 files" in done.stdout


DRIVER = """
from cluster_work import dawdle
from roadclear.utils import ray_cluster
from roadclear.utils.executors import make_executor
ray_cluster._WITHOUT_CORES_S = 3.0
for number in make_executor("ray").map(dawdle, range(100)):
    print(number, flush=True)
"""


@LONG
def test_a_cluster_that_loses_all_nodes_ends_the_work(cluster: Any) -> None:
    words, values = [sys.executable, "-c", DRIVER], {**os.environ, "RAY_ADDRESS": cluster.address}
    nodes = list(cluster.worker_nodes)
    with subprocess.Popen(words, env=values, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None and driver.stdout.readline()
        for node in nodes:
            cluster.remove_node(node, allow_graceful=False)
        _, told = driver.communicate(timeout=100)
    assert driver.returncode == 1
    assert "EngineError: expected a core in the Ray cluster, found none for 3 s" in told, told
    for _ in nodes:
        cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)


def test_a_cluster_without_cores_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray waits for cores for ever, as it does here for rows."""
    monkeypatch.setattr(ray_cluster, "_WITHOUT_CORES_S", 0.1)
    monkeypatch.setattr(ray_cluster, "_POLL_S", 0.05)
    cores = SimpleNamespace(cluster_resources=lambda: {"CPU": 0.0})
    waiting = SimpleNamespace(iter_rows=lambda: iter(threading.Event().wait, True))
    with pytest.raises(EngineError, match="expected a core in the Ray cluster"):
        next(ray_cluster._watched(cores, waiting))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'roadclear\[ray\]'"):
        make_executor("ray")
    with pytest.raises(OptionError, match="expected one of local, ray"):
        make_executor("elsewhere")
