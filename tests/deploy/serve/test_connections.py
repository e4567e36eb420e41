"""Connections that send no whole head, and more connections than the server takes."""

import socket
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from roadclear.deploy.serve.connections import BoundedProtocol, connection_limit

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMIT = 20


class Impatient(BoundedProtocol):
    _head_seconds = 0.8


async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(
        app, http=Impatient, ws="none", lifespan="off", log_config=None, limit_concurrency=LIMIT, port=0
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield int(listener.getsockname()[1])
        server.should_exit = True
        thread.join(30)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def answer(connection: socket.socket) -> bytes:
    """Head and body, which may come in parts."""
    got = b""
    while not got.endswith(b"\r\n\r\nok"):
        part = connection.recv(1000)
        assert part, got
        got += part
    return got


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("begun", [b"", b"GET / HT", HEAD[:-2]])
def test_a_head_that_does_not_come_whole_ends_the_connection(begun: bytes, port: int) -> None:
    with connect(port) as fresh, connect(port) as used:
        fresh.sendall(begun)
        used.sendall(HEAD)
        assert b"200 OK" in answer(used)
        used.sendall(begun or b"G")
        assert is_closed(fresh) and is_closed(used)


def test_a_body_and_a_kept_connection_may_take_longer(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na")
        time.sleep(1.0)
        connection.sendall(b"b")
        assert b"200 OK" in answer(connection)
        time.sleep(1.0)
        connection.sendall(HEAD[:5])
        connection.sendall(HEAD[5:])
        assert b"200 OK" in answer(connection)


def test_too_many_connections_are_told_or_closed_and_the_server_goes_on(port: int) -> None:
    connections = [connect(port) for _ in range(LIMIT + 130)]
    with connections[LIMIT + 10] as told:
        told.sendall(HEAD)
        assert b" 503 " in told.recv(1000)
    assert is_closed(connections[-1])
    for connection in connections:
        connection.close()
    deadline = time.monotonic() + 10
    while httpx.get(f"http://127.0.0.1:{port}", trust_env=False).status_code != 200:
        assert time.monotonic() < deadline


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_limit_leaves_room_for_other_open_files() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for files, expected in ((1024, 600), (800, 376), (500, 125), (256, 64)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, before[1]))
            assert connection_limit() == expected
            assert connection_limit(50) == 50
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
