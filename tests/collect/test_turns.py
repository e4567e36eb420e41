"""Turns of hosts: threads and processes that share a file never take one turn twice, and share pauses."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from clients import QuickClock
from misbehaving_server import answer, misbehaving_server

from roadclear.collect.rate_limit import RateLimit
from roadclear.collect.rejections import FetchError, RejectionReason
from roadclear.collect.turns import HostTurns, SharedTurns
from roadclear.errors import OutputError

WORKER = Path(__file__).parents[1] / "support" / "polite_worker.py"
TAKER = """
import sys, time
from pathlib import Path
from roadclear.collect.turns import HostTurns, SharedTurns
turns = SharedTurns(Path(sys.argv[1]), time.monotonic())
print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    now = time.monotonic()
    before = turns.update("a.example", now, lambda b: HostTurns(max(now, b.next) + 0.25, b.paused_until))
    print(repr(max(now, before.next)))
"""


class Asleep(QuickClock):
    """A clock that stands still, and notes who sleeps."""

    def monotonic(self) -> float:
        return 1_000.0


def together(*commands: list[object]) -> list[str]:
    """Start processes, let all begin at once, and return what they print."""
    started = [
        subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for words in commands
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    printed = []
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        printed.append(out)
    return printed


class Interrupted(QuickClock):
    """A clock that does something while somebody sleeps for the first time."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.sleeps) == 1:
            self._meanwhile()


@pytest.mark.slow
def test_two_processes_never_take_one_turn(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKER, tmp_path / "hosts"]
    turns = sorted(float(line) for out in together(command, command) for line in out.splitlines())
    assert len(turns) == 100
    assert min(after - before for before, after in pairwise(turns)) > 0.25 - 1e-6


@pytest.mark.slow
def test_a_server_is_asked_by_two_processes_at_the_rate_of_one(tmp_path: Path) -> None:
    requests, rate = 6, 10.0
    seen: list[float] = []
    with misbehaving_server() as server:

        def served(target: str, before: int) -> object:
            seen.append(time.monotonic())
            return answer(b"yes")

        server.fallback = served  # type: ignore[assignment]
        command = [sys.executable, WORKER, tmp_path / "hosts", server.url("/"), requests, rate]
        together(command, command)
    assert len(seen) == 2 * requests
    # A request may be late, and the next one in time: only the first can shorten the whole.
    span = max(seen) - min(seen)
    assert span > (2 * requests - 1) / rate - 0.3, "each alone would need half of it"


def test_threads_share_the_turns(tmp_path: Path) -> None:
    clock = Asleep()
    turns = SharedTurns(tmp_path / "hosts", clock.monotonic())
    limits = [RateLimit(4.0, 120.0, clock, turns=turns) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: limits[number % 2].wait("a.example"), range(20)))
    turns.close()
    assert sorted(clock.sleeps) == pytest.approx([0.25 * number for number in range(1, 20)])


def test_a_pause_holds_for_all_who_share(tmp_path: Path) -> None:
    clock = Asleep()
    first, second = (RateLimit(4.0, 120.0, clock, turns=SharedTurns(tmp_path / "hosts", 1_000.0)) for _ in range(2))
    first.pause("a.example", 100.0)
    second.wait("b.example")
    assert clock.sleeps == []
    second.wait("a.example")
    assert clock.sleeps == pytest.approx([100.0])
    first.pause("a.example", 3_600.0)
    with pytest.raises(FetchError, match="asks for a pause of 3,600 seconds"):
        second.wait("a.example")
    first.close()
    second.close()


def test_a_pause_holds_for_those_who_wait_for_their_turn_already() -> None:
    clock = Interrupted(lambda: limit.pause("a.example", 100.0))
    limit = RateLimit(4.0, 120.0, clock)
    limit.wait("a.example")
    limit.wait("a.example")
    assert clock.sleeps == pytest.approx([0.25, 100.0])
    limit.wait("a.example")
    assert clock.sleeps[2:] == pytest.approx([0.25])


def test_turns_of_before_the_last_start_of_the_machine_are_forgotten(tmp_path: Path) -> None:
    before = SharedTurns(tmp_path / "hosts", 1e6)
    before.update("a.example", 1e6, lambda _: HostTurns(2e6, 2e6))
    before.close()
    after = SharedTurns(tmp_path / "hosts", 100.0)
    assert after.update("a.example", 100.0, lambda found: found) == HostTurns()
    after.close()


def test_a_turn_that_is_over_needs_no_row(tmp_path: Path) -> None:
    before = SharedTurns(tmp_path / "hosts", 100.0)
    for number in range(100):
        before.update(f"{number}.example", 100.0, lambda _: HostTurns(101.0))
    before.close()
    after = SharedTurns(tmp_path / "hosts", 200.0)
    assert after._db.execute("SELECT count(*) FROM turns").fetchone() == (0,)
    after.close()


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"no database, and longer than its head" * 100)
    with pytest.raises(OutputError, match="delete the file, or set ROADCLEAR_CACHE_DIR"):
        SharedTurns(tmp_path / "hosts", 0.0)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot keep the turns"):
        SharedTurns(tmp_path / "file" / "hosts", 0.0)


def test_without_a_turn_nobody_is_asked(tmp_path: Path) -> None:
    turns = SharedTurns(tmp_path / "hosts", 0.0)
    turns.close()
    with pytest.raises(FetchError, match="cannot keep the turns") as caught:
        RateLimit(4.0, 120.0, QuickClock(), turns=turns).wait("a.example")
    assert caught.value.reason == RejectionReason.UNREACHABLE, "a later run tries again"
