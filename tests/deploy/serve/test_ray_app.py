"""The server's application on a Ray cluster: arguments, the key, and replicas that are killed under load."""

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cameras import free_port
from pydantic import ValidationError

from roadclear.deploy.serve.ray_app import KEY_VARIABLE, Arguments, Replica, build, make_job
from roadclear.errors import EngineError, ModelFileError, OptionError
from roadclear.model.predictor import Model

KEY = "a key of words"
CLIENTS = 8


class TestArguments:
    def test_words_of_the_command_line_are_numbers(self) -> None:
        arguments = Arguments.model_validate(
            {"run": "a/run", "replicas": "3", "max_body": "1.5", "allow_hosts": "a, b"}
        )
        job = make_job(arguments, KEY)
        assert (arguments.replicas, job.settings.max_body, job.hosts) == (3, 1.5, ("a", "b"))
        assert job.model == str(Path("a/run").absolute()), "replicas run in another folder"
        assert make_job(Arguments(), None).model == "stock"
        assert pickle.loads(pickle.dumps(job)) == job, "replicas are sent the job"

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            ({"replica": "2"}, ValidationError, "replica"),
            ({"replicas": "many"}, ValidationError, "replicas"),
            ({"replicas": "0"}, OptionError, "replicas must be at least 1"),
            ({"cores": "0"}, OptionError, "cores must be at least 1"),
            ({"queue": "0"}, OptionError, "queue must be"),
            ({"deadline": "0"}, OptionError, "deadline must be"),
            ({"name": "a/b"}, OptionError, "name must be"),
            ({"allow_origins": "example.org"}, OptionError, "must be like https://example.org"),
            ({"engine": "steam"}, OptionError, "steam"),
            ({"run": "/no/such/run"}, ModelFileError, "expected a model file"),
        ],
    )
    def test_wrong_ones_are_refused_before_anything_starts(
        self, values: dict[str, str], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(KEY_VARIABLE, raising=False)
        with pytest.raises(error, match=message):
            build(Arguments.model_validate(values))

    def test_haproxy_opens_all_addresses_and_needs_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
        with pytest.raises(OptionError, match=KEY_VARIABLE):
            make_job(Arguments(), None)
        assert make_job(Arguments(), KEY).key == KEY

    def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(self) -> None:
        with pytest.raises(OptionError) as error:
            make_job(Arguments(), "schlüssel")
        assert "schlüssel" not in f"{error.value} {make_job(Arguments(), KEY)!r}"
        assert KEY not in repr(make_job(Arguments(), KEY))

    def test_without_ray_the_extras_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(EngineError, match=r"pip install 'roadclear\[ray,serve\]'"):
            build(Arguments())


@pytest.fixture(scope="module", params=[None, KEY], ids=["no key", "key"])
def replica(request: pytest.FixtureRequest, model_file: Path) -> Iterator[tuple[Replica, str | None]]:
    replica = Replica(make_job(Arguments(run=str(model_file)), request.param), cores=1)
    yield replica, request.param
    replica.__del__()


class TestReplica:
    """A replica without Ray: the application is asked as a proxy of Ray Serve asks, by its ASGI interface."""

    @pytest.mark.parametrize("server", ["127.0.0.1", "[::1]", "192.0.2.1"])
    def test_without_a_key_it_answers_this_machine_alone(
        self, replica: tuple[Replica, str | None], server: str, model: Model, photos: list[Path]
    ) -> None:
        made, key = replica

        async def ask(**headers: str) -> httpx.Response:
            transport = httpx.ASGITransport(made.__serve_build_asgi_app__())  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{server}:8000") as client:
                return await client.post("predict", content=photos[0].read_bytes(), headers=headers)

        local = server != "192.0.2.1"
        assert asyncio.run(ask()).status_code == (401 if key else 200 if local else 403)
        if key is None and not local:
            found = asyncio.run(ask(Host="localhost"))
            assert found.status_code == 403 and KEY_VARIABLE in found.json()["error"], "any client can name this host"
        if key is not None:
            found = asyncio.run(ask(Authorization=f"Bearer {KEY}", Host="road.example"))
            assert found.status_code == 200
            assert found.json()["photos"][0]["probability"] == model.predict(photos[0]).probability

    def test_health_is_an_answer(self, replica: tuple[Replica, str | None]) -> None:
        asyncio.run(replica[0].check_health())


# What follows needs a cluster.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core, and a head without cores."""
    if "ROADCLEAR_CLUSTER" not in os.environ:
        pytest.skip("tests on a cluster take minutes: run nox -s cluster")
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'roadclear[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv(KEY_VARIABLE, raising=False)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # workers find what this process finds
        from ray import serve
        from ray.cluster_utils import Cluster

        store = {"object_store_memory": 100_000_000}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **store})
        for _ in range(2):
            cluster.add_node(num_cpus=1, **store)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield serve
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


@dataclass
class Load:
    """Clients that ask for one photo after the other, and what came of it."""

    address: str
    photos: list[bytes]
    expected: list[float]
    right: int = 0
    wrong: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self, client: httpx.Client, which: int) -> None:
        """Ask until there is an answer. Only a request that its replica took to the grave may fail."""
        while True:
            try:
                response = client.post("predict", content=self.photos[which])
            except httpx.HTTPError as error:
                self.failed.append(type(error).__name__)
                continue
            if response.status_code == 200:
                said = response.json()["photos"][0]["probability"]
                self.right, self.wrong = (
                    (self.right + 1, self.wrong) if said == self.expected[which] else (self.right, self.wrong + 1)
                )
                return
            self.failed.append(f"{response.status_code} {response.text[:200]}")

    def work(self, number: int) -> None:
        with httpx.Client(base_url=self.address, timeout=60, trust_env=False) as client:
            turn = number
            while not self.stopped.is_set():
                self.ask(client, turn % len(self.photos))
                turn += 1


@contextmanager
def under_load(load: Load) -> Iterator[None]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(load.work, number) for number in range(CLIENTS)]
        try:
            yield
        finally:
            load.stopped.set()
        for future in working:
            future.result()


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "out of time"
        time.sleep(0.1)


def replicas(app: str) -> set[int]:
    """Processes of the replicas of an application."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if title.startswith(f"ray::ServeReplica:{app}:"):
            found.add(int(place.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="replicas are found by /proc")
class TestCluster:
    APP = f"roads{os.getpid()}"

    def running(self, serve: Any) -> int:
        deployment = serve.status().applications[self.APP].deployments["roadclear"]
        return int(deployment.replica_states.get("RUNNING", 0))

    def start(self, serve: Any, model_file: Path, **values: object) -> None:
        arguments = Arguments.model_validate({"run": str(model_file), "replicas": 2, **values})
        serve.run(build(arguments), name=self.APP, route_prefix="/")
        until(lambda: self.running(serve) == 2)

    def check_doors(self, port: int) -> None:
        """The proxy listens at every address. Without a key, requests are answered on loopback alone."""
        from ray.util import get_node_ip_address

        asked = {get_node_ip_address(): 403, "127.0.0.1": 200}
        for host, status in asked.items():
            response = httpx.get(f"http://{host}:{port}/v2", headers={"Host": "localhost"}, trust_env=False)
            assert response.status_code == status, host

    def test_a_killed_replica_costs_its_requests_alone_and_a_new_version_costs_none(
        self, cluster: Any, model_file: Path, model: Model, photos: list[Path]
    ) -> None:
        port = free_port()
        cluster.start(proxy_location="HeadOnly", http_options={"host": "0.0.0.0", "port": port})
        self.start(cluster, model_file)
        self.check_doors(port)
        contents = [photo.read_bytes() for photo in photos]
        expected = [model.predict(photo).probability for photo in photos]
        assert len(set(expected)) == len(expected)

        load = Load(f"http://127.0.0.1:{port}", contents, expected)
        before = replicas(self.APP)
        assert len(before) == 2
        with under_load(load):
            until(lambda: load.right > 50)
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            died = time.monotonic()
            until(lambda: (now := replicas(self.APP)) and killed not in now and len(now) == 2)
            until(lambda: self.running(cluster) == 2)
            seconds = time.monotonic() - died
            done = load.right
            until(lambda: load.right > done + 50)
        print(f"\nkilled: two replicas again after {seconds:.1f} s")
        print(f"killed: {load.right} right, {load.wrong} wrong, failed {load.failed}")
        assert load.wrong == 0
        assert len(load.failed) <= CLIENTS, "a client has one request in flight"
        assert all(reason.startswith("500") for reason in load.failed), load.failed

        rolled = Load(load.address, contents, expected)
        with under_load(rolled):
            until(lambda: rolled.right > 20)
            old = replicas(self.APP)
            self.start(cluster, model_file, queue=64)
            until(lambda: not old & replicas(self.APP))
        print(f"rolled: {rolled.right} right, {rolled.wrong} wrong, failed {rolled.failed}")
        assert (rolled.wrong, rolled.failed) == (0, [])
