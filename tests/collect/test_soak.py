"""Two thousand photos through a bad connection, with kills: in the end everything is accounted for, and exactly."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from misbehaving_server import Answer, answer, cut, html, misbehaving_server, picture, reset, reset_at_once, status
from soak_worker import LABELS, PHOTOS

from roadclear.collect.records import read_rejections, read_sources
from roadclear.collect.rejections import RejectionReason

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="kills processes"), pytest.mark.slow]

WORKER = Path(__file__).parents[1] / "support" / "soak_worker.py"
KILLS = 3
SIDE = 64

FOR_GOOD: dict[int, tuple[RejectionReason, Answer]] = {
    1: (RejectionReason.NOT_A_PHOTO, html()),
    2: (RejectionReason.NOT_THERE, status(404)),
    3: (RejectionReason.TOO_SMALL, answer(picture(1, 20, 20))),
}
"""What photos get whose number leaves this remainder by 100."""


def photo(number: int) -> bytes:
    """Of every hundred, the eighth has the bytes of the one before."""
    return picture(number - 1 if number % 100 == 8 else number, SIDE, SIDE)


def served(path: str, before: int) -> Answer:
    """The photo; with 5% of the requests something that passes, at most twice in a row."""
    number = int(path.strip("/"))
    body = photo(number)
    if before % 3 < 2 and random.Random(1_000 * number + before).random() < 0.05:
        faults = (status(429, Retry_After="1"), status(500), status(503), reset(body), reset_at_once(), cut(body))
        return faults[(number + before) % len(faults)]
    return FOR_GOOD[number % 100][1] if number % 100 in FOR_GOOD else answer(body)


def rows(folder: Path) -> int:
    table = folder / "sources.csv"
    return table.read_bytes().count(b"\n") if table.exists() else 0


def collect_until(process: "subprocess.Popen[bytes]", folder: Path, photos: int) -> None:
    while rows(folder) < photos:
        assert process.poll() is None, "the process ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    with misbehaving_server() as server:
        server.fallback = served
        command = [sys.executable, str(WORKER), str(folder), str(server.port)]
        kept: list[tuple[set[str], int]] = []
        for kill in range(1, KILLS + 1):
            collect_until(subprocess.Popen(command), folder, kill * PHOTOS // (KILLS + 1))
            kept.append(({source.image_url for source in read_sources(folder)}, len(server.targets())))
        subprocess.run(command, check=True, timeout=120)
        for filed, asked in kept:
            assert not filed & {server.url(target) for target in server.targets()[asked:]}
        asked = len(server.targets())
        subprocess.run(command, check=True, timeout=120)
        assert len(server.targets()) == asked, "nothing is fetched again"
        assert asked > 1.03 * PHOTOS, "there were faults"
        numbers = {server.url(f"/{number}"): number for number in range(PHOTOS)}

    sources, rejections = read_sources(folder), read_rejections(folder)
    files = {path.relative_to(folder).as_posix() for label in LABELS for path in (folder / label).iterdir()}
    assert {source.file for source in sources} == files
    assert len(sources) == len(files)
    for source in sources:
        assert hashlib.sha256((folder / source.file).read_bytes()).hexdigest() == source.sha256

    for source in sources:
        assert source.sha256 == hashlib.sha256(photo(numbers[source.image_url])).hexdigest()
        assert source.label == LABELS[numbers[source.image_url] % 4 // 2]
    told = Counter((r.reason, numbers[r.source.image_url]) for r in rejections)
    assert set(told.values()) == {1}
    expected = {(FOR_GOOD[n % 100][0], n) for n in numbers.values() if n % 100 in FOR_GOOD}
    expected |= {(RejectionReason.SAME_ADDRESS, n) for n in numbers.values() if n % 50 == 0}
    twins = {(reason, number) for reason, number in told if reason == RejectionReason.SAME_BYTES}
    assert set(told) - twins == expected
    assert sorted(number // 100 for _, number in twins) == list(range(PHOTOS // 100)), "one of each pair"
    assert {number % 100 for _, number in twins} <= {7, 8}
    refused = {number for reason, number in told if reason != RejectionReason.SAME_ADDRESS}
    assert {numbers[source.image_url] for source in sources} == set(numbers.values()) - refused
