"""All providers behind one address of the loopback interface, with the photos that they show."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from PIL import Image
from provider_apis import FLICKR_KEY, THUMBNAIL_WIDTHS, Answer, Flickr, Google, Openverse, Wikimedia

CONTACT = "operator@example.org"
OPENVERSE, WIKIMEDIA, FLICKR, GOOGLE = "/v1/images/", "/w/api.php", "/services/rest/", "/search"
HTML = Answer(200, b"<!doctype html><title>Just a moment...</title>", {"Content-Type": "text/html"})
TRUNCATED = Answer(200, b'{"results": [{"id": "1", "url": "http', {"Content-Type": "application/json"})
"""A JSON text that ends in the middle, though the answer is as long as it says."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class Fault:
    """What is answered instead, `times` times, once `after` requests for the path were answered rightly."""

    path: str
    answer: Answer
    times: int = 1_000_000
    after: int = 0


@dataclass
class ProviderServer:
    """The state of the server; tests read and change it while it runs.

    `size` is how many photos every query finds, apart from "nothing".
    """

    size: int
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    sites: dict[str, Openverse | Wikimedia | Flickr | Google] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which every provider is this one."""
        names = ("OPENVERSE", "WIKIMEDIA", "FLICKR", "GOOGLE")
        return {f"ROADCLEAR_{name}_URL": self.url for name in names} | {
            "FLICKR_API_KEY": FLICKR_KEY,
            "ROADCLEAR_CONTACT": CONTACT,
        }

    def asked_for(self, path: str) -> list[Asked]:
        return [request for request in self.asked if request.path == path]

    def fail(self, path: str, answer: Answer, times: int = 1_000_000, after: int = 0) -> None:
        self.faults.append(Fault(path, answer, times, after))

    def answer(self, request: Asked) -> Answer:
        with self.lock:
            self.asked.append(request)
            for fault in self.faults:
                if fault.path != request.path:
                    continue
                if fault.after:
                    fault.after -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault.answer
            if request.path in self.sites:
                return self.sites[request.path].answer(request.params, request.headers)
        return _photo(request.path)


class _Handler(BaseHTTPRequestHandler):
    state: ProviderServer
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one packet: no waiting for acknowledgements

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        request = Asked(address.path, dict(parse_qsl(address.query, keep_blank_values=True)), dict(self.headers))
        answer = self.state.answer(request)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = "Content-Length" in answer.headers  # it may not be true

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def provider_server(size: int = 100) -> Iterator[ProviderServer]:
    """A running server."""
    state = ProviderServer(size)
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        state.url = f"http://127.0.0.1:{server.server_port}"
        makers: dict[str, Callable[[int, str], Openverse | Wikimedia | Flickr | Google]] = {
            OPENVERSE: Openverse,
            WIKIMEDIA: Wikimedia,
            FLICKR: Flickr,
            GOOGLE: Google,
        }
        state.sites = {path: make(size, state.url) for path, make in makers.items()}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _photo(path: str) -> Answer:
    """/photos/<number>.jpg, or /photos/<width>px-<number>.jpg in one of the standard widths."""
    name = path.removeprefix("/photos/").removesuffix(".jpg")
    width, _, number = name.rpartition("px-")
    if not path.startswith("/photos/") or not number.isdecimal():
        return Answer(404)
    if width and int(width) not in THUMBNAIL_WIDTHS:
        return Answer(429, b"Use thumbnail steps", {"Content-Type": "text/plain"})
    return Answer(200, drawn_photo(int(number)), {"Content-Type": "image/jpeg"})


def drawn_photo(number: int) -> bytes:
    """A JPEG of 320 x 240 pixels that no other number has."""
    tiles = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(tiles).resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
