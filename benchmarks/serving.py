"""Does the server answer right, and how fast, with hostile bodies among the photos? Bar: 0.8 of `predict_many`.

    python benchmarks/serving.py PHOTOS [--model stock] [--clients 32] [--seconds 60] [--hostile 0.05]

A server listens on loopback, as `roadclear serve` starts it. The clients hold a connection each, and ask for one photo
after the other. A share of their bodies is hostile: noise, cut photos, a decompression bomb, damaged forms, damaged
gzip, and bodies above the limit. `predict_many` answers the same photos before and after, in this process.

Printed are answers that differ from `predict_many`, statuses of 500 and above other than 503, the memory of the server
with its decoders, and photos a second as a ratio to `predict_many`. The clients take a part of the same processors, so
the ratio of processor seconds stands beside. The exit code is 1 if an answer was wrong or a status was 500 or 504.
"""

import argparse
import asyncio
import gzip
import io
import json
import os
import random
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from machine import ROADCLEAR, describe, table
from roadclear import Model, load
from roadclear.images.decode import UnreadablePhoto

MOST_PHOTOS = 300
TICKS = os.sysconf("SC_CLK_TCK")
KEYS = ("label", "probability", "unsure", "unfamiliar")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="stock")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hostile", type=float, default=0.05)
    given = parser.parse_args()
    print(describe("openvino", "fastapi", "uvicorn", "pillow"))
    files = sorted(path for path in given.photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = [path.read_bytes() for path in random.Random(0).sample(files, min(MOST_PHOTOS, len(files)))]
    model = load(given.model)
    load_ = Load(photos, expected(model, photos), given.hostile)
    half = max(given.seconds / 4, 2.0)
    before = alone(model, photos, half)
    with server(given.model) as (port, pid):
        asyncio.run(work(load_, port, given.clients, 2.0))  # not counted
        load_.forget()
        memory, cpu = [resident(pid)], cpu_seconds(pid)
        own = sum(os.times()[:2])
        started = time.perf_counter()
        asyncio.run(work(load_, port, given.clients, given.seconds, lambda: memory.append(resident(pid))))
        wall = time.perf_counter() - started
        cpu, own = cpu_seconds(pid) - cpu, sum(os.times()[:2]) - own
    after = alone(model, photos, half)
    rate, single = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
    answered = load_.right + load_.wrong
    bad = {status: n for status, n in load_.statuses.items() if status >= 500 and status != 503}
    rows = [
        ("photos answered", f"{answered:,}"),
        ("wrong answers", load_.wrong),
        ("hostile bodies, refused", f"{load_.hostile:,}, {load_.refused:,}"),
        ("503", f"{load_.statuses[503]:,}"),
        ("other statuses of 500 and above", bad or 0),
        ("connections that ended early", load_.ended),
        ("memory at the start, middle, end, MB", ", ".join(f"{memory[k]:.0f}" for k in (0, len(memory) // 2, -1))),
        ("photos a second, served", f"{answered / wall:.0f}"),
        ("photos a second, predict_many before and after", f"{before[0]:.0f}, {after[0]:.0f}"),
        ("**ratio of photos a second**", f"**{answered / wall / rate:.2f}**"),
        (
            "CPU ms a photo: server, clients, predict_many",
            f"{1e3 * cpu / answered:.2f}, {1e3 * own / answered:.2f}, {1e3 * single:.2f}",
        ),
        ("ratio of CPU, predict_many to server", f"{single / (cpu / answered):.2f}"),
    ]
    print(table(("", f"{given.clients} clients, {wall:.0f} s"), rows))
    sys.exit(1 if load_.wrong or bad else 0)


def expected(model: Model, photos: list[bytes]) -> list[dict[str, Any] | None]:
    """What `predict_many` says of each photo; None for a photo that cannot be used."""
    found = model.predict_many(photos)
    return [None if isinstance(one, UnreadablePhoto) else {key: getattr(one, key) for key in KEYS} for one in found]


def alone(model: Model, photos: list[bytes], seconds: float) -> tuple[float, float]:
    """Photos a second, and seconds of the processor a photo, of `predict_many`."""
    done, started, cpu = 0, time.perf_counter(), sum(os.times()[:2])

    def endless() -> Iterator[bytes]:
        while time.perf_counter() - started < seconds:
            yield from photos

    for _ in model.predict_many(endless()):
        done += 1
    return done / (time.perf_counter() - started), (sum(os.times()[:2]) - cpu) / done


@contextmanager
def server(model: str) -> Iterator[tuple[int, int]]:
    """A server on a free port: the port, and the process."""
    process = subprocess.Popen([*ROADCLEAR, "serve", model, "--port", "0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = next((line for line in process.stderr if "Serving at" in line), "")
        yield int(line.rsplit(":", 1)[1].split("/")[0]), process.pid
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Load:
    """Requests, and what came of them."""

    photos: list[bytes]
    answers: list[dict[str, Any] | None]
    share: float
    right: int = 0
    wrong: int = 0
    hostile: int = 0
    refused: int = 0
    ended: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def forget(self) -> None:
        """Count from zero."""
        self.right = self.wrong = self.hostile = self.refused = self.ended = 0
        self.statuses.clear()


async def work(load_: Load, port: int, clients: int, seconds: float, look: Any = None) -> None:
    """Let clients ask for some seconds. `look` is called ten times."""
    end = time.monotonic() + seconds
    tasks = [asyncio.create_task(client(load_, port, end, random.Random(k))) for k in range(clients)]
    for _ in range(10 if look else 0):
        await asyncio.sleep(seconds / 10)
        look()
    await asyncio.gather(*tasks)


async def client(load_: Load, port: int, end: float, draw: random.Random) -> None:
    """Ask until the end, on one connection as long as it lasts."""
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < end:
        which = draw.randrange(len(load_.photos))
        hostile = draw.random() < load_.share
        request = evil(draw, load_.photos[which]) if hostile else post(load_.photos[which])
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", port)
            status, body, stays = await ask(stream, request)
        except (OSError, EOFError, ValueError):
            load_.ended += 1
            stream = None
            continue
        if not stays:
            stream[1].close()
            stream = None
        load_.statuses[status] += 1
        if status == 503:
            await asyncio.sleep(0.05)
        elif hostile:
            load_.hostile += 1
            load_.refused += 400 <= status < 500
        else:
            check(load_, which, status, body)
    if stream is not None:
        stream[1].close()


def check(load_: Load, which: int, status: int, body: bytes) -> None:
    wanted = load_.answers[which]
    found = json.loads(body).get("photos", [{}])[0]
    right = status == 422 if wanted is None else all(found.get(key) == wanted[key] for key in KEYS)
    load_.right += right
    load_.wrong += not right


async def ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> tuple[int, bytes, bool]:
    """Send a request: status, body, and whether the connection stays."""
    reader, writer = stream
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    return int(head.split()[1]), body, b"connection: close" not in head


def post(body: bytes, *headers: str) -> bytes:
    """Write a request."""
    lines = ["POST /predict HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def evil(draw: random.Random, photo: bytes) -> bytes:
    """A hostile request. A body above the limit is drawn seldom, since it costs its clients the most."""
    kind = draw.choice(("noise", "cut", "bomb", "form", "gzip", "packed", "type", "large"))
    if kind == "large" and draw.random() < 0.9:
        kind = "noise"
    if kind == "cut":
        return post(photo[: len(photo) // draw.randrange(2, 9)])
    if kind == "bomb":
        return post(BOMB)
    if kind == "form":
        return post(
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + photo,
            "Content-Type: multipart/form-data; boundary=x",
        )
    if kind == "gzip":
        return post(gzip.compress(bytes(30_000_000), 1), "Content-Encoding: gzip")
    if kind == "packed":
        return post(zlib.compress(photo)[:-50], "Content-Encoding: deflate")
    if kind == "type":
        return post(photo, "Content-Encoding: br")
    if kind == "large":
        return post(bytes(25_000_000))
    return post(draw.randbytes(draw.randrange(20_000)))


def bomb() -> bytes:
    """A PNG of 100 megapixels in some kB."""
    content = io.BytesIO()
    Image.new("RGB", (10_000, 10_000)).save(content, "PNG")
    return content.getvalue()


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for file in children for child in file.read_text().split())]


def resident(pid: int) -> float:
    """Memory of a process and its children, in MB."""
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Seconds of the processor of a process and its children, also of those that ended."""
    seconds = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        seconds += sum(map(int, fields[11:15] if one == pid else fields[11:13]))
    return seconds / TICKS


BOMB = bomb()

if __name__ == "__main__":
    main()
