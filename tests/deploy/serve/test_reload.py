"""A new model takes the place of the old one, by content and without a lost request; a broken one changes nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from heads import drawn_model
from servers import Running, running

from roadclear.model.predictor import Model
from roadclear.utils.files import write_file

pytestmark = pytest.mark.slow


def sha256(server: Running) -> str:
    return str(server.client.post("predict", content=b"words").json()["model"]["sha256"])


def wait(server: Running, count: int) -> None:
    """Wait until the server has told so many sentences."""
    end = time.monotonic() + 60
    while len(server.told) < count and time.monotonic() < end:
        time.sleep(0.05)
    assert len(server.told) == count, server.told


def test_no_request_is_lost_and_each_is_answered_by_one_of_the_models(tmp_path: Path, photos: list[Path]) -> None:
    contents = [drawn_model(seed=seed) for seed in (1, 2)]
    path, data = tmp_path / "model.onnx", photos[0].read_bytes()
    path.write_bytes(contents[0])
    wanted = {Model(content).predict(data).probability for content in contents}
    assert len(wanted) == 2
    stop, seen = threading.Event(), []
    with running(path) as server:

        def ask() -> None:
            while not stop.is_set():
                seen.append(server.answers(data)[0]["probability"])

        with ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(ask) for _ in range(3)]
            write_file(path, contents[1], overwrite=True)
            wait(server, 1)
            write_file(path, contents[0], overwrite=True)
            wait(server, 2)
            stop.set()
        assert [future.result() for future in asking] == [None] * 3
        assert set(seen) == wanted
        assert server.answers(data)[0]["probability"] == Model(contents[0]).predict(data).probability
        text = server.client.get("metrics").text
    assert 'roadclear_reloads_total{result="taken"} 2.0' in text


def test_only_another_content_that_works_is_taken(tmp_path: Path) -> None:
    path, good = tmp_path / "model.onnx", drawn_model(seed=3)
    path.write_bytes(good)
    with running(path) as server:
        before = sha256(server)
        path.write_bytes(good[: len(good) // 2])
        wait(server, 1)
        assert "not taken" in server.told[0] and sha256(server) == before
        path.unlink()
        wait(server, 2)
        assert sha256(server) == before
        path.write_bytes(good)  # the same content: nothing to tell
        time.sleep(2.5)
        assert len(server.told) == 2 and sha256(server) == before
        path.write_bytes(drawn_model(seed=4))
        wait(server, 3)
        assert sha256(server) != before
        assert 'roadclear_reloads_total{result="refused"} 2.0' in server.client.get("metrics").text
