"""Cameras on loopback: a real RTSP server, an HTTP camera of JPEGs, and hosts that misbehave."""

import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

SYSTEM_PYTHON = "/usr/bin/python3"
CAMERA = Path(__file__).with_name("rtsp_camera.py")
NEEDED = (
    "the RTSP server of Debian is not here: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class RtspCamera:
    """An RTSP camera that can be frozen, killed and started again at the same address."""

    def __init__(self, rate: int = 10) -> None:
        self.port, self._rate = free_port(), rate
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"rtsp://me:secret@127.0.0.1:{self.port}/live"

    def start(self) -> None:
        if shutil.which(SYSTEM_PYTHON) is None:
            pytest.skip(NEEDED)
        command = [SYSTEM_PYTHON, str(CAMERA), str(self.port), str(self._rate)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.kill()
            pytest.skip(NEEDED)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def rtsp_camera(rate: int = 10) -> Iterator[RtspCamera]:
    camera = RtspCamera(rate)
    try:
        yield camera
    finally:
        camera.kill()


Talk = Callable[[socket.socket], None]


@contextmanager
def host(talk: Talk) -> Iterator[int]:
    """A server on loopback that talks so to every client; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=_talk, args=(talk, client), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _talk(talk: Talk, client: socket.socket) -> None:
    with client, suppress(OSError):
        talk(client)


def silent(client: socket.socket) -> None:
    """Accept, and never answer."""
    time.sleep(60)


def garbage(client: socket.socket) -> None:
    draw = random.Random(0)
    while True:
        client.sendall(draw.randbytes(4000))
        time.sleep(0.01)


def answer(status: str) -> Talk:
    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(f"HTTP/1.0 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return talk


def jpeg_stream(pictures: Callable[[int], Image.Image], rate: float = 10.0, count: int | None = None) -> Talk:
    """A camera that sends JPEGs by HTTP; every seventh is damaged."""

    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        k = 0
        while count is None or k < count:
            content = BytesIO()
            pictures(k).save(content, "JPEG")
            data = content.getvalue()[: 500 if k % 7 == 6 else None]
            client.sendall(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            client.sendall(b"\r\n")
            k += 1
            time.sleep(1 / rate)

    return talk
