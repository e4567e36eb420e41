"""Cameras on loopback: a real RTSP server, an HTTP camera of JPEGs, and hosts that misbehave."""

import http.server
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
from clips import write_video
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


def hls_pieces(folder: Path, count: int, pictures: Callable[[int], Image.Image]) -> list[Path]:
    """Pieces of a stream, of a second and ten frames each, with frames that refer to later ones."""
    return [
        write_video(folder / f"{k}.ts", [(k + j / 10, pictures(10 * k + j)) for j in range(10)]) for k in range(count)
    ]


@contextmanager
def hls_camera(pieces: list[Path], live: bool) -> Iterator[str]:
    """An HLS server; gives the address of its list. A live list has the pieces of the last three seconds."""
    began = time.monotonic()

    def listed() -> bytes:
        last = min(int(time.monotonic() - began) + 3, len(pieces)) if live else len(pieces)
        first = max(0, last - 3) if live else 0
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines += [line for piece in pieces[first:last] for line in ("#EXTINF:1.0,", piece.name)]
        return "\n".join([*lines, *([] if live else ["#EXT-X-ENDLIST"]), ""]).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            data = listed() if name == "list.m3u8" else pieces[0].with_name(name).read_bytes()
            kind = "application/vnd.apple.mpegurl" if name == "list.m3u8" else "video/mp2t"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://me:secret@127.0.0.1:{server.server_address[1]}/list.m3u8"
        finally:
            server.shutdown()


def bursts(pieces: list[Path]) -> Talk:
    """A host that sends a stream in bursts: a second of video at once, then nothing for the rest of the second."""

    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for piece in pieces:
            client.sendall(piece.read_bytes())
            time.sleep(1)

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
