"""A server on loopback that speaks HTTP/2 over TLS, and nothing else."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

CHUNK = 8_192


@dataclass
class Http2Server:
    """A running server, and the paths that each of its connections was asked for."""

    port: int = 0
    connections: list[list[str]] = field(default_factory=list)


class _Conversation:
    """One connection: the bodies that are under way, as far as flow control lets them."""

    def __init__(self, connection: ssl.SSLSocket, body: Callable[[str], bytes], paths: list[str]) -> None:
        self._connection = connection
        self._body = body
        self._paths = paths
        self._under_way: dict[int, bytes] = {}
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))

    def hold(self) -> None:
        self._h2.initiate_connection()
        self._connection.sendall(self._h2.data_to_send())
        while data := self._connection.recv(65_536):
            for event in self._h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    path = dict(event.headers)[":path"]
                    self._paths.append(path)
                    self._h2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "image/jpeg")])
                    self._under_way[event.stream_id] = self._body(path)
            self._send()

    def _send(self) -> None:
        for stream, rest in list(self._under_way.items()):
            while rest and (room := min(self._h2.local_flow_control_window(stream), CHUNK)) > 0:
                self._h2.send_data(stream, rest[:room])
                rest = rest[room:]
            self._under_way[stream] = rest
            if not rest:
                self._h2.end_stream(stream)
                del self._under_way[stream]
        self._connection.sendall(self._h2.data_to_send())


@contextmanager
def http2_server(tls: ssl.SSLContext, body: Callable[[str], bytes]) -> Iterator[Http2Server]:
    """Serves `body(path)` for every path."""
    state = Http2Server()
    tls.set_alpn_protocols(["h2"])

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            paths: list[str] = []
            state.connections.append(paths)
            with suppress(OSError):
                _Conversation(tls.wrap_socket(self.request, server_side=True), body, paths).hold()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
