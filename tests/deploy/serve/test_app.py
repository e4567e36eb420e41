"""The server by HTTP: answers, hostile bodies, limits, errors of one shape, metrics, health."""

import gzip
import re
import socket
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads import drawn_familiarity, drawn_head
from PIL import Image
from servers import Running, running

from roadclear.features.backbone.weights import load_weights
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model

pytestmark = pytest.mark.slow


def bomb() -> bytes:
    content = BytesIO()
    Image.new("1", (20_000, 20_000)).save(content, "PNG")
    return content.getvalue()


def same(found: dict[str, Any], model: Model, photo: Path) -> bool:
    said = model.predict(photo)
    return (found["answer"], found["label"], found["probability"], found["unsure"], found["unfamiliar"]) == (
        said.answer,
        said.label,
        said.probability,
        said.unsure,
        said.unfamiliar,
    )


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", None])
def test_a_raw_photo_is_answered_as_predict_does(
    kind: str | None, server: Running, model: Model, photos: list[Path]
) -> None:
    for photo in photos:
        headers = {} if kind is None else {"Content-Type": kind}
        response = server.client.post("predict", content=photo.read_bytes(), headers=headers)
        assert response.status_code == 200
        (found,) = response.json()["photos"]
        assert same(found, model, photo) and "map" not in found and "name" not in found
        assert response.json()["model"]["positive"] == "crossing"


def test_a_form_of_photos_is_answered_in_its_order_and_a_bad_one_has_its_reason(
    server: Running, model: Model, photos: list[Path]
) -> None:
    files = [("any", (photo.name, photo.read_bytes())) for photo in photos]
    files.insert(1, ("any", ("no\nphoto.txt", b"words")))
    response = server.client.post("predict", files=files, data={"a": "field"}, params={"map": "true"})
    assert response.status_code == 200
    found = response.json()["photos"]
    assert list(found[1]) == ["name", "error"] and "\n" not in found[1]["name"]
    del found[1]
    assert [one["name"] for one in found] == [photo.name for photo in photos]
    for one, photo in zip(found, photos, strict=True):
        assert same(one, model, photo)
        values = np.array(one["map"]["values"])
        assert values.shape == (3, 3)
        assert values.sum() + one["map"]["offset"] == pytest.approx(one["map"]["logit"], abs=1e-4)


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"", {}, 422, "the file is empty"),
        (b"words", {}, 422, "not a photo"),
        (b"\xff\xd8\xff" + bytes(500), {}, 422, "JPEG"),
        (bomb(), {}, 422, "too large"),
        (bytes(1_000_001), {}, 413, "at most 1 MB"),
        (gzip.compress(bytes(1_000_001)), {"Content-Encoding": "gzip"}, 413, "at most 1 MB"),
        (gzip.compress(bytes(100), mtime=0)[:-1], {"Content-Encoding": "gzip"}, 400, "ends too early"),
        (b"words", {"Content-Encoding": "deflate"}, 400, "expected deflate"),
        (b"words", {"Content-Encoding": "br"}, 415, "gzip, deflate"),
        (b"words", FORM, 400, "expected a form"),
        (b"--x\r\n\r\n", FORM, 400, "expected a form"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--", FORM, 400, "expected a form"),
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\na\r\n--x--", FORM, 422, "found none"),
        (b"words", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (
            b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n\r\n" * 65 + b"--x--",
            FORM,
            400,
            "at most 64 files",
        ),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + bytes(50_000) + b"\r\n--x--",
            FORM,
            400,
            "at most 64 files",
        ),
    ],
)
def test_hostile_bodies_are_refused_in_a_sentence(
    body: bytes, headers: dict[str, str], status: int, message: str, server: Running
) -> None:
    response = server.client.post("predict", content=body, headers=headers)
    assert response.status_code == status, response.text
    assert message in response.text
    assert not re.search(r"/(work|usr|tmp|home)/|\.py|Traceback", response.text)


def test_a_form_is_never_written_to_disk(
    server: Running, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder for temporary files, a form of nearly the limit is answered."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    padded = photos[0].read_bytes() + bytes(900_000)
    response = server.client.post("predict", files={"photo": ("a.jpg", padded)})
    assert response.status_code == 200, response.text


def test_compressed_bodies_are_unpacked(server: Running, model: Model, photos: list[Path]) -> None:
    data = photos[0].read_bytes()
    for name, packed in (("gzip", gzip.compress(data)), ("deflate", zlib.compress(data))):
        response = server.client.post("predict", content=packed, headers={"Content-Encoding": name})
        assert same(response.json()["photos"][0], model, photos[0])


def exchange(port: int, *parts: bytes) -> bytes:
    """Send parts of a request by hand, and read what comes until the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        found = bytearray()
        while chunk := connection.recv(65_536):
            found += chunk
    return bytes(found)


HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_a_body_without_a_length_is_counted_in_the_stream(server: Running) -> None:
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
    found = exchange(server.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk * 20, b"0\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 413") and b"connection: close" in found.lower()


def test_a_client_that_waits_for_leave_is_refused_by_the_length(server: Running) -> None:
    found = exchange(server.port, HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 413")


@pytest.fixture(scope="module")
def strict(model_file: Path) -> Iterator[Running]:
    """A server with a short deadline, a short queue and a key."""
    job = {"key": "a key", "origins": ("https://friend.example",)}
    with running(model_file, job, deadline=0.5, queue=1, max_body=1.0) as found:
        found.client.headers["Authorization"] = "Bearer a key"
        yield found


def test_a_body_that_does_not_come_is_not_waited_for(strict: Running) -> None:
    head = HEAD + b"X-API-Key: a key\r\nContent-Length: 100\r\n\r\n"
    assert exchange(strict.port, head, b"some").startswith(b"HTTP/1.1 408")


def test_a_full_queue_answers_503_and_the_others_are_right(strict: Running, model: Model, photos: list[Path]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    body = [("photos", (photo.name, photo.read_bytes())) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: strict.client.post("predict", files=body), range(24)))
    assert {response.status_code for response in responses} <= {200, 503, 504}
    refused = [response for response in responses if response.status_code == 503]
    assert refused, "eight forms of four photos find no room"
    assert all(int(response.headers["Retry-After"]) >= 1 for response in refused)
    for response in responses:
        if response.status_code == 200:
            assert all(same(one, model, photo) for one, photo in zip(response.json()["photos"], photos, strict=True))


def test_a_request_with_more_photos_than_the_queue_holds_is_refused(strict: Running, photos: list[Path]) -> None:
    body = [("photos", ("a.jpg", photos[0].read_bytes()))] * 20
    assert strict.client.post("predict", files=body).status_code == 503
    assert strict.client.get("readyz").json() == {"ready": True}


def test_the_deadline_is_a_status(model_file: Path, photos: list[Path]) -> None:
    with running(model_file, deadline=0.001) as server:
        response = server.client.post("predict", content=photos[0].read_bytes())
        assert response.status_code in (408, 504)
        assert "error" in response.json()


def test_the_key_is_needed_but_for_probes(strict: Running) -> None:
    import httpx

    with httpx.Client(base_url=strict.address, trust_env=False) as stranger:
        for path in ("", "metrics", "openapi.json", "v2", "v2/models/roadclear"):
            response = stranger.get(path)
            assert response.status_code == 401 and "Basic" in response.headers["www-authenticate"], path
            assert strict.client.get(path).status_code == 200, path
        for path in ("healthz", "readyz", "v2/health/live", "v2/health/ready"):
            assert stranger.get(path).status_code == 200, path
        assert "securitySchemes" in strict.client.get("openapi.json").json()["components"]


def test_only_named_origins_may_read_answers(strict: Running, server: Running) -> None:
    friend, other = {"Origin": "https://friend.example"}, {"Origin": "https://other.example"}
    assert strict.client.get("v2", headers=friend).headers["access-control-allow-origin"] == "https://friend.example"
    assert "access-control-allow-origin" not in strict.client.get("v2", headers=other).headers
    assert "access-control-allow-origin" not in server.client.get("v2", headers=friend).headers
    assert strict.client.post("predict", headers=other).status_code == 403
    asks = {**friend, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert strict.client.options("predict", headers=asks).status_code == 200


def test_errors_have_one_shape(server: Running) -> None:
    for method, path, status, message in (
        ("GET", "nothing", 404, "openapi.json"),
        ("POST", "predict/", 404, "openapi.json"),
        ("GET", "predict", 405, "expected the method POST here, found GET"),
        ("PUT", "predict", 405, "found PUT"),
        ("GET", "docs", 404, "openapi.json"),
        ("GET", "page/0/model", 404, "another model"),
        ("POST", "predict?map=perhaps", 422, "map"),
    ):
        response = server.client.request(method, path)
        assert response.status_code == status
        assert list(response.json()) == ["error"] and message in response.text
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["", "healthz", "metrics", "v2", "v2/health/ready", "openapi.json"])
def test_head_is_get_without_the_body(path: str, server: Running) -> None:
    response = server.client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def metric(text: str, name: str) -> float:
    (line,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(line)


def test_metrics_count_answers_requests_and_the_queue(model_file: Path, model: Model, photos: list[Path]) -> None:
    with running(model_file) as server:
        for photo in photos:
            server.answers(photo.read_bytes())
        server.client.post("predict", content=b"words")
        server.client.get("no/such/path")
        text = server.client.get("metrics").text
    said = [model.predict(photo) for photo in photos]
    for answer in {one.answer for one in said}:
        count = sum(one.answer == answer for one in said)
        assert metric(text, f'roadclear_answers_total{{answer="{answer}"}}') == count
    assert metric(text, "roadclear_unfamiliar_share") == sum(one.unfamiliar for one in said) / len(said)
    assert metric(text, "roadclear_unreadable_total") == 1
    assert metric(text, 'roadclear_requests_total{endpoint="/predict",status="422"}') == 1
    assert metric(text, 'roadclear_requests_total{endpoint="other",status="404"}') == 1
    assert metric(text, 'roadclear_request_seconds_count{endpoint="/predict"}') == 5
    assert metric(text, "roadclear_queue_length") == 0 and metric(text, "roadclear_queue_limit") == 128
    assert metric(text, "roadclear_drift_available") == 0, "drawn models hold no validation probabilities"
    assert "roadclear_drift_distance" not in text


def test_the_page_answers_through_the_server_and_is_kept(server: Running) -> None:
    response = server.client.get("")
    assert response.status_code == 200 and "connect-src 'self'" in response.text
    assert 'id="local"' not in response.text and "part-model" not in response.text
    again = server.client.get("", headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


def test_metrics_show_drift_where_the_model_file_allows(model: Model, photos: list[Path], tmp_path: Path) -> None:
    """The validation photos got 0.9 and 0.1. The photos of today get other probabilities, all of them alike."""
    scores = ValidationScores.of(np.arange(400) < 200, np.where(np.arange(400) < 200, 0.9, 0.1))
    facts = replace(model.facts, validation=scores)
    path = tmp_path / "model.onnx"
    path.write_bytes(build_model_file(load_weights("imagenet"), drawn_head("dense"), drawn_familiarity(), facts))
    with running(path) as server:
        assert metric(server.client.get("metrics").text, "roadclear_drift_available") == 1
        body = [("photos", ("a.jpg", photos[0].read_bytes()))] * 50
        for _ in range(2):
            assert server.client.post("predict", files=body).status_code == 200
        text = server.client.get("metrics").text
    assert metric(text, "roadclear_drift_photos") == 100
    assert metric(text, "roadclear_drift_distance") > metric(text, "roadclear_drift_limit")
