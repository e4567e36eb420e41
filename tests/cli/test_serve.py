"""`roadclear serve` as a process: the answers of `predict`, signals, the key, and what is refused in one line."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from heads import drawn_model
from process import START, environment, roadclear

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(drawn_model(band=(0.3, 0.7)))
    return path


@contextmanager
def served(*arguments: object, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, and its address."""
    command = [*START, "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command, env=environment(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"Serving at (http://\S+/)", line):
                break
        else:
            pytest.fail("".join(lines))
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


def test_answers_are_those_of_predict(model: Path, drawn_photos: Path) -> None:
    photos = sorted((drawn_photos / "crossing").iterdir())[:4]
    ended = roadclear("predict", model, *photos, "--format", "jsonl")
    said = [json.loads(line) for line in ended.out.splitlines()]
    with served(model) as (process, address):
        files = [("photos", (photo.name, photo.read_bytes())) for photo in photos]
        found = httpx.post(f"{address}predict", files=files, trust_env=False).json()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    for one, other in zip(found["photos"], said, strict=True):
        for key in ("answer", "label", "probability", "unfamiliar", "distance"):
            assert one[key] == other[key]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM for another process")
def test_sigterm_answers_what_is_in_flight_and_takes_nothing_new(model: Path, drawn_photos: Path) -> None:
    photo = min((drawn_photos / "crossing").iterdir()).read_bytes()
    with served(model) as (process, address):
        port = int(address.rsplit(":", 1)[1].strip("/"))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
            slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo))
            slow.sendall(photo[:100])
            time.sleep(0.5)  # the server has read the head
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            slow.sendall(photo[100:])
            assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert process.wait(30) == 0


def test_the_key_is_demanded_and_never_shown(model: Path) -> None:
    key = "kept-from-all-eyes"
    ended = roadclear("serve", model, "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 2 and "ROADCLEAR_API_KEY" in ended.error()
    with served(model, "--host", "0.0.0.0", ROADCLEAR_API_KEY=key) as (process, address):
        place = address.replace("0.0.0.0", "127.0.0.1")
        texts = []
        for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"X-API-Key": key}, 200)):
            response = httpx.get(f"{place}metrics", headers=headers, trust_env=False)
            assert response.status_code == status
            texts.append(response.text + str(response.headers))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    shown = roadclear("serve", "--help", env={"ROADCLEAR_API_KEY": key})
    wrong = roadclear("serve", "--port", "x", env={"ROADCLEAR_API_KEY": key})
    for text in (*texts, out, err, shown.out.decode(), shown.err, wrong.err):
        assert key not in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 1, "expected a model file"),
        (["stock", "--queue", "0"], 2, "queue must be"),
        (["stock", "--allow-origin", "example.org"], 2, "--allow-origin must be like"),
        (["stock", "--runtime", "."], 1, "unpack onnxruntime-web"),
        (["stock", "--name", "a/b"], 2, "--name must be"),
    ],
)
def test_mistakes_end_with_one_line(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    ended = roadclear("serve", "-q", *words, cwd=tmp_path)
    assert ended.code == code, ended.err
    assert message in ended.error()


def test_without_the_extra_the_only_line_names_it(tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ImportError")
    ended = roadclear("serve", env={"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])})
    assert ended.code == 1 and "pip install 'roadclear[serve]'" in ended.error()


def test_a_port_that_is_taken_ends_with_one_line(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = roadclear("serve", model, "--port", str(other.getsockname()[1]))
    assert ended.code == 2 and "choose another --port" in ended.error()
