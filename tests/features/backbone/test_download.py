"""Downloads, from a real server on the loopback interface with a certificate of its own."""

import hashlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from roadclear.errors import OutputError, WeightsError
from roadclear.features.backbone.download import cached_path, download
from roadclear.features.backbone.sources import SOURCES
from roadclear.features.backbone.weights import load_weights

CONTENT = bytes(range(256)) * 100
MOST = 2 * len(CONTENT)


@dataclass
class Server:
    """Answers every path as `answers` says: status, headers, body."""

    url: str = ""
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, path: str, body: bytes = CONTENT, status: int = 200, **headers: str) -> str:
        self.answers[path] = (status, {"Content-Length": str(len(body)), **headers}, body)
        return self.url + path


class Handler(BaseHTTPRequestHandler):
    """Speaks https. As a proxy it plays the asked host itself, behind the same certificate."""

    state: Server
    tls: ssl.SSLContext

    def do_GET(self) -> None:
        self.state.requests.append(f"{self.headers['Host']}{self.path}")
        status, headers, body = self.state.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        except ssl.SSLError:
            return
        self.setup_streams()
        self.handle_one_request()
        self.connection.close()

    def setup_streams(self) -> None:
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)  # type: ignore[assignment]

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the loopback address and for the official hosts, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs the openssl command")
    folder = tmp_path_factory.mktemp("certificate")
    names = "subjectAltName=IP:127.0.0.1,DNS:storage.googleapis.com,DNS:download.pytorch.org"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subject = ["-subj", "/CN=test", "-addext", names]
    files = ["-out", folder / "certificate.pem", "-keyout", folder / "key.pem"]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@contextmanager
def serving(certificate: tuple[Path, Path], encrypted: bool) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    state = Server()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state, "tls": context}))
    if encrypted:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url = f"http{'s' * encrypted}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose certificate is trusted."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(certificate, encrypted=True) as state:
        yield state


@pytest.fixture
def proxy(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A proxy that stands in for the official hosts; the cache folder is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(certificate, encrypted=False) as state:
        monkeypatch.setenv("https_proxy", state.url)
        monkeypatch.setenv("no_proxy", "")
        yield state


def accept(content: bytes) -> None:
    assert content == CONTENT


def reject(content: bytes) -> None:
    raise WeightsError("not the right file")


class TestDownload:
    def test_writes_the_whole_file_and_nothing_else(self, server: Server, tmp_path: Path) -> None:
        target = tmp_path / "new" / "folder" / "weights.pth"
        download(server.answer("/weights.pth"), target, MOST, accept)
        assert target.read_bytes() == CONTENT
        assert list(target.parent.iterdir()) == [target]

    def test_follows_a_redirection_to_https(self, server: Server, tmp_path: Path) -> None:
        moved = server.answer("/old", status=302, Location=server.answer("/new"))
        download(moved, tmp_path / "weights.pth", MOST, accept)
        assert (tmp_path / "weights.pth").read_bytes() == CONTENT

    @pytest.mark.parametrize(
        ("status", "headers", "reason"),
        [
            (404, {}, "404"),
            (503, {}, "503"),
            (200, {"Content-Length": "1000000"}, "expected 1000000"),
            (302, {"Location": "http://127.0.0.1:9/weights.pth"}, "expected an https address"),
            (302, {"Location": "file:///etc/passwd"}, "expected an https address"),
        ],
        ids=["missing", "out of service", "cut short", "redirected to http", "redirected to a file"],
    )
    def test_leaves_nothing_of_a_failure(
        self, status: int, headers: dict[str, str], reason: str, server: Server, tmp_path: Path
    ) -> None:
        server.answers["/weights.pth"] = (status, headers, CONTENT)
        with pytest.raises(WeightsError, match=reason) as caught:
            download(f"{server.url}/weights.pth", tmp_path / "weights.pth", MOST, accept)
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())

    def test_refuses_more_than_it_may(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="found more"):
            download(server.answer("/weights.pth", bytes(MOST + 1)), tmp_path / "weights.pth", MOST, accept)
        assert not list(tmp_path.iterdir())

    def test_checks_before_it_writes(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="not the right file"):
            download(server.answer("/weights.pth"), tmp_path / "weights.pth", MOST, reject)
        assert not list(tmp_path.iterdir())

    def test_refuses_a_certificate_that_nobody_vouches_for(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(WeightsError, match="certificate verify failed"):
            download(server.answer("/weights.pth"), tmp_path / "weights.pth", MOST, accept)
        assert server.requests == []

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9/weights.pth", "file:///etc/passwd", "ftp://127.0.0.1/x"])
    def test_refuses_what_is_not_https(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="expected an https address"):
            download(url, tmp_path / "weights.pth", MOST, accept)

    def test_nobody_answers(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="refused"):
            download("https://127.0.0.1:9/weights.pth", tmp_path / "weights.pth", MOST, accept)

    def test_a_folder_that_cannot_be(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match=r"cannot write .*weights\.pth"):
            download(server.answer("/weights.pth"), tmp_path / "file" / "weights.pth", MOST, accept)


@pytest.mark.parametrize(
    ("name", "path"),
    {
        "keras": "storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "torchvision-v1": "download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        "torchvision-v2": "download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
    }.items(),
)
def test_a_source_asks_its_official_address_and_keeps_nothing_that_is_wrong(
    name: str, path: str, proxy: Server
) -> None:
    proxy.answer(f"/{path.split('/', 1)[1]}", b"sign in to this network first")
    with pytest.raises(WeightsError):
        load_weights(name, download=True)
    assert proxy.requests == [path]
    assert not cached_path(SOURCES[name].location.url).exists()  # type: ignore[union-attr]


def test_a_cached_file_is_checked_again(proxy: Server) -> None:
    cached = cached_path(SOURCES["torchvision-v1"].location.url)  # type: ignore[union-attr]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    with pytest.raises(WeightsError, match=f"expected SHA-256 b0353104 .* found {hashlib.sha256(CONTENT).hexdigest()}"):
        load_weights("torchvision-v1", download=True)
    assert proxy.requests == []
