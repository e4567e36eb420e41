"""A server on loopback that answers as it is told: well, late, in part, too much, or with something else."""

import gzip
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

Answer = Callable[[socket.socket], None]


def picture(number: int, width: int = 96, height: int = 72, format_name: str = "JPEG") -> bytes:
    """A small photo; every number another one."""
    colour = (number % 251, number // 251 % 251, 90)
    image = Image.new("RGB", (width, height), colour)
    image.paste((200, 200, number % 256), (0, 0, width // 2, height // 2))
    buffer = BytesIO()
    image.save(buffer, format_name)
    return buffer.getvalue() + number.to_bytes(4, "big")


def answer(
    body: bytes, status: int = 200, content_type: str = "image/jpeg", headers: Mapping[str, str] | None = None
) -> Answer:
    """A whole answer with the right length."""
    lines = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
    return raw(head(status, lines) + body)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} x", "Connection: close", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def raw(data: bytes) -> Answer:
    """These bytes, then the end of the connection."""
    return lambda connection: connection.sendall(data)


def status(code: int, **headers: str) -> Answer:
    return answer(b"no", code, "text/plain", {name.replace("_", "-"): value for name, value in headers.items()})


def html() -> Answer:
    return answer(b"<!doctype html><html><body>Please log in</body></html>", content_type="text/html")


def redirect(target: str, code: int = 302) -> Answer:
    return answer(b"", code, headers={"Location": target})


def cut(body: bytes) -> Answer:
    """Half of what is announced."""
    return raw(head(200, {"Content-Length": str(len(body))}) + body[: len(body) // 2])


def half_without_length(body: bytes) -> Answer:
    """Half of it, which only the picture itself tells."""
    return raw(head(200, {}) + body[: len(body) // 2])


def reset(body: bytes) -> Answer:
    """Half of it, then the connection is torn down."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head(200, {"Content-Length": str(len(body))}) + body[: len(body) // 2])
        _tear_down(connection)

    return send


def reset_at_once() -> Answer:
    return _tear_down


def silent(seconds: float = 30.0) -> Answer:
    """Nothing at all, until whoever waits goes away."""
    return lambda connection: _wait_for_end(connection, seconds)


def drip(data: bytes, pause: float = 0.05) -> Answer:
    """One byte after the other."""

    def send(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return send


def endless() -> Answer:
    """A body of no announced length that does not end."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head(200, {}))
        while True:
            connection.sendall(bytes(65_536))

    return send


def gzip_bomb(size: int) -> Answer:
    """A small body that grows to `size` zeros."""
    return answer(gzip.compress(bytes(size)), headers={"Content-Encoding": "gzip"})


def _tear_down(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _wait_for_end(connection: socket.socket, seconds: float) -> None:
    connection.settimeout(seconds)
    with suppress(OSError):
        connection.recv(1)


@dataclass(frozen=True)
class Request:
    """What was asked."""

    target: str
    headers: Mapping[str, str]


@dataclass
class MisbehavingServer:
    """A running server. A path gives its answers one after the other, and the last one from then on.

    `fallback` answers for paths that have none, given the path and how often it was asked for before.
    """

    port: int
    scheme: str = "http"
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    fallback: Callable[[str, int], Answer] = lambda path, before: status(404)
    requests: list[Request] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, path: str, *answers: Answer, host: str = "127.0.0.1") -> str:
        """Have a path answer so; gives its address."""
        self.answers[path] = list(answers)
        return self.url(path, host)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def targets(self) -> list[str]:
        with self.lock:
            return [request.target for request in self.requests]

    def next_answer(self, request: Request) -> Answer:
        with self.lock:
            before = self.counts[request.target]
            self.counts[request.target] += 1
            self.requests.append(request)
            prepared = self.answers.get(request.target)
        return prepared[min(before, len(prepared) - 1)] if prepared else self.fallback(request.target, before)


@contextmanager
def misbehaving_server(tls: ssl.SSLContext | None = None) -> Iterator[MisbehavingServer]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                connection = self.request
                connection.settimeout(30)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                if (request := _read_request(connection)) is not None:
                    state.next_answer(request)(connection)
                connection.close()

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 128
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        state = MisbehavingServer(server.server_address[1], "https" if tls is not None else "http")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _read_request(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    first, *lines = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(first.split(" ")[1], headers)
