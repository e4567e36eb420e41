"""The real ddgs, whose requests to duckduckgo.com a proxy on loopback answers itself, with a certificate of its own."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from clients import quick_client
from misbehaving_server import answer, misbehaving_server, picture
from searching import QUERY, search

from roadclear.collect.candidate import Candidate
from roadclear.collect.collector import CollectRequest, collect, searches_of
from roadclear.collect.providers import make_provider
from roadclear.collect.providers.duckduckgo import DuckDuckGo
from roadclear.collect.providers.settings import Settings
from roadclear.collect.records import read_rejections, read_sources
from roadclear.collect.rejections import RejectionReason
from roadclear.errors import OptionError, ProviderError

HOST = "duckduckgo.com"
TOKEN = "4-1234567890"


@dataclass
class DuckDuckGoProxy:
    """Shows `size` pictures, 100 a page, unless a path of it has another status."""

    address: str
    certificate: Path
    size: int = 250
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    results: object = None

    def answer(self, path: str, params: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(params)
        status = self.statuses.get(path, 200)
        if status != 200:
            return status, b"<html>If this persists, please email us.</html>"
        if path == "/":
            return status, f'<script>vqd="{TOKEN}";</script>'.encode()
        assert (path, params["vqd"], params["o"]) == ("/i.js", TOKEN, "json")
        if self.results is not None:
            return status, json.dumps({"results": self.results}).encode()
        first = int(params.get("s", 0))
        results = [
            {
                "image": f"https://a.example/{place}.jpg",
                "url": f"https://a.example/{place}.html",
                "title": f"Street &amp; <b>square</b> {place}",
                "width": 640,
                "height": 480,
                "source": "Bing",
                "thumbnail": f"https://b.example/{place}",
            }
            for place in range(first, min(first + 100, self.size))
        ]
        return status, json.dumps({"results": results, "query": params["q"]}).encode()


class Handler(BaseHTTPRequestHandler):
    state: DuckDuckGoProxy
    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:
        assert self.path.startswith(HOST)
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.handle_one_request()
        self.close_connection = True

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        status, body = self.state.answer(address.path, dict(parse_qsl(address.query)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-addext", "basicConstraints=CA:FALSE"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "certificate.pem"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*new, *names, *files], check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@contextmanager
def running(certificate: tuple[Path, Path]) -> Iterator[DuckDuckGoProxy]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = DuckDuckGoProxy(f"http://127.0.0.1:{server.server_port}", certificate[0])
        server.RequestHandlerClass = type("Bound", (Handler,), {"state": state, "tls": tls})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def proxy(certificate: tuple[Path, Path]) -> Iterator[DuckDuckGoProxy]:
    pytest.importorskip("ddgs", reason="needs the extra scrape")
    with running(certificate) as state:
        yield state


def duckduckgo(proxy: DuckDuckGoProxy) -> DuckDuckGo:
    return DuckDuckGo(Settings(proxy=proxy.address), verify=str(proxy.certificate))


@pytest.mark.parametrize(("size", "pages"), [(1, 2), (100, 2), (250, 4)])
def test_pages_are_asked_for_until_nothing_new_comes(proxy: DuckDuckGoProxy, size: int, pages: int) -> None:
    proxy.size = size
    found = search(duckduckgo(proxy))
    assert {candidate.image_url for candidate in found} == {f"https://a.example/{place}.jpg" for place in range(size)}
    assert [candidate.rank for candidate in found] == list(range(1, size + 1))
    assert [params.get("s", "0") for params in proxy.asked if "o" in params] == [
        str(100 * page) for page in range(pages)
    ]


def test_a_result_is_told_with_its_page_and_an_unknown_licence(proxy: DuckDuckGoProxy) -> None:
    proxy.size = 1
    assert search(duckduckgo(proxy)) == [
        Candidate(
            provider="duckduckgo",
            query=QUERY,
            rank=1,
            image_url="https://a.example/0.jpg",
            page_url="https://a.example/0.html",
            title="Street & square 0",
            licence="unknown",
            width=640,
            height=480,
        )
    ]


@pytest.mark.parametrize("status", [202, 403, 429, 500])
@pytest.mark.parametrize("path", ["/", "/i.js"])
def test_a_rate_limit_is_told(proxy: DuckDuckGoProxy, path: str, status: int) -> None:
    proxy.statuses[path] = status
    with pytest.raises(ProviderError, match=r"found none or a rate limit: .* wait some minutes"):
        search(duckduckgo(proxy))


def test_a_rate_limit_on_a_later_page_is_told_or_ends_the_search(proxy: DuckDuckGoProxy) -> None:
    """ddgs hides the status of a later page, but not that its token is withheld."""
    found = []
    with pytest.raises(ProviderError, match="a rate limit"):
        for candidate in duckduckgo(proxy).search(QUERY, None):  # type: ignore[arg-type]
            found.append(candidate)
            proxy.statuses["/"] = 403
    assert len(found) == 100


@pytest.mark.parametrize(
    "results", [{}, "x", [1], [None], [{"image": 5}], [{"image": {"a": 1}, "title": [1]}], [{"image": [[]], "url": 1}]]
)
def test_results_of_other_types_are_told_or_left_out(proxy: DuckDuckGoProxy, results: object) -> None:
    proxy.results = results
    found = []
    with suppress(ProviderError):
        found += search(duckduckgo(proxy))
    assert found == []


def test_a_certificate_that_is_not_trusted_is_refused(proxy: DuckDuckGoProxy) -> None:
    with pytest.raises(ProviderError, match=r"found none \(.*certificate.*: check the connection"):
        search(DuckDuckGo(Settings(proxy=proxy.address)))
    assert proxy.asked == []


@pytest.mark.parametrize("allow_private", [False, True])
def test_results_are_downloaded_by_the_guarded_client(
    proxy: DuckDuckGoProxy, tmp_path: Path, allow_private: bool
) -> None:
    """ddgs has a network client of its own. What it finds is fetched by ours."""
    internal = ["http://169.254.169.254/latest/", "http://[::1]:1/", "http://0x7f.1:1/"]
    with misbehaving_server() as server:
        addresses = [server.put("/a.jpg", answer(picture(1))), *([] if allow_private else internal)]
        about = {"url": "https://a.example/", "title": "", "width": 1, "height": 1, "source": "", "thumbnail": ""}
        proxy.results = [{"image": address, **about} for address in addresses]
        searches = searches_of({label: [label] for label in ("crossing", "empty")}, [duckduckgo(proxy)])
        with quick_client(allow_private=allow_private) as client:
            collected = collect(tmp_path, CollectRequest(("crossing", "empty"), 5, searches), client)
        assert collected.failures == ()
        assert bool(server.targets()) == allow_private
    assert len(read_sources(tmp_path)) == (1 if allow_private else 0)
    if not allow_private:
        refused = {(rejection.reason, rejection.source.image_url) for rejection in read_rejections(tmp_path)}
        assert {(RejectionReason.FORBIDDEN_ADDRESS, address) for address in addresses} <= refused
        # Both labels found the same addresses.
        assert {reason for reason, _ in refused} <= {RejectionReason.FORBIDDEN_ADDRESS, RejectionReason.SAME_ADDRESS}


def test_licences_cannot_be_wished_for() -> None:
    with pytest.raises(OptionError, match="does not say under which licence a picture is"):
        make_provider("duckduckgo", Settings(licences=frozenset({"by"})))


def test_without_the_extra_it_is_told_how_to_get_it() -> None:
    try:
        import ddgs  # noqa: F401
    except ImportError:
        with pytest.raises(OptionError, match=r"pip install 'roadclear\[scrape\]'"):
            make_provider("duckduckgo", Settings())
    else:
        pytest.skip("the extra scrape is installed")
