"""The kills of `endurance.py`: work that is ended by SIGKILL at a random moment, and what must hold afterwards.

Each kind has a folder of its own. A round starts the work in a forked process, kills the process at a moment that is
drawn from the time that the undisturbed work takes, checks the folder, and makes the folder ready for the next round.
"""

import hashlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from clients import quick_client
from deciding import decide
from folders import files_by_identity, messy_folder, tree
from misbehaving_server import answer, misbehaving_server, picture
from scenes import write_scenes

from attacks import expect
from roadclear.cli.commands import app
from roadclear.collect.candidate import Candidate
from roadclear.collect.collector import CollectRequest, collect, searches_of
from roadclear.collect.records import read_sources
from roadclear.curation.apply import apply_decisions, undo
from roadclear.curation.clean import clean, restore
from roadclear.curation.rules import CleanRules
from roadclear.features.cache import open_cache
from roadclear.model.model_file import read_run_model

LABELS = ("crossing", "empty")
RULES = CleanRules(look_alikes=False)
QUICK = ("--no-report", "--size", "96", "--views", "0", "--epochs", "3", "--positive", "crossing")
PHOTOS = 40
HANGS_AFTER = 300


def fork(work: Callable[[], object], log: Path) -> int:
    """Start work in a process of its own: its number. What the work prints goes to a file."""
    if child := os.fork():
        return child
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        work()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def run_killed(work: Callable[[], object], seconds: float, log: Path) -> bool:
    """Start work, and kill it after some seconds. Whether the kill came before the end."""
    child = fork(work, log)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    expect(os.WIFSIGNALED(status) or status == 0, f"exit status {status}: {log.read_bytes()[-300:]!r}")
    return os.WIFSIGNALED(status)


def run_whole(work: Callable[[], object], log: Path) -> float:
    """Start work and wait for its end: seconds."""
    began = time.monotonic()
    child = fork(work, log)
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() - began > HANGS_AFTER:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"no end in {HANGS_AFTER} s")
        time.sleep(0.001)
    expect(ended[1] == 0, f"exit status {ended[1]}: {log.read_bytes()[-300:]!r}")
    return time.monotonic() - began


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Rounds:
    """Rounds of one kind.

    Attributes:
        work: the work that is killed.
        seconds: about how long the undisturbed work takes.
        log: file for what the work prints.
    """

    work: Callable[[], object]
    seconds: float
    log: Path

    def round(self, draw: random.Random) -> bool:
        """Work, kill and check. Whether the kill came before the end of the work."""
        raise NotImplementedError

    def kill(self, draw: random.Random, work: Callable[[], object] | None = None) -> bool:
        """Start work, and kill it at a drawn moment. The time of the work is adapted to how busy the machine is."""
        killed = run_killed(work or self.work, draw.uniform(0, self.seconds), self.log)
        self.seconds *= 1.04 if killed else 0.93
        return killed


class Moving(Rounds):
    """Kills while files are moved. After a kill every file is there once, and all can be put back."""

    def __init__(self, folder: Path, name: str) -> None:
        self.root = messy_folder(folder / "photos")
        self.log, self.cache, self.name = folder / "log", folder / "features.sqlite", name
        self.table = decide(
            self.root,
            {"crossing/good.png": "move to empty", "crossing/both.png": "set aside", "empty/good.png": "set aside"},
        )
        self.work = {"clean": self._clean, "restore": self._restore, "apply": self._apply, "undo": self._undo}[name]
        self._clean()  # fills the cache
        restore(self.root)
        self.before, self.files = tree(self.root), files_by_identity(self.root)
        self.seconds = max(self._timed() for _ in range(3))

    def _clean(self) -> None:
        with open_cache(self.cache) as cache:
            clean(self.root, RULES, cache)

    def _restore(self) -> None:
        restore(self.root)

    def _apply(self) -> None:
        apply_decisions(self.root, self.table)

    def _undo(self) -> None:
        undo(self.root)

    def _prepare(self) -> None:
        if self.name == "restore":
            self._clean()
        elif self.name == "undo":
            self._apply()

    def _timed(self) -> float:
        self._prepare()
        seconds = run_whole(self.work, self.log)
        restore(self.root)
        return seconds

    def round(self, draw: random.Random) -> bool:
        """See `Rounds.round`."""
        self._prepare()
        killed = self.kill(draw)
        expect(files_by_identity(self.root) == self.files, "a file was lost or doubled")
        expect(restore(self.root).left == (), "a file was not put back")
        expect(tree(self.root) == self.before, "the folder is not as before")
        return killed


class Command(Rounds):
    """Kills of a command that replaces its output. After a kill the old output or the new one is there, whole."""

    def __init__(self, folder: Path, name: str) -> None:
        self.log, self.folder, self.name = folder / "log", folder, name
        os.environ["ROADCLEAR_CACHE_DIR"] = str(folder.parent / "cache")
        self.photos = folder / "photos"
        write_scenes(self.photos, per_label=12)
        self.out = folder / ("run" if name == "train" else "split.csv")
        self.outputs: list[str] = []
        seconds = []
        for seed in (0, 1):
            seconds.append(run_whole(self._command(seed), self.log))
            self.outputs.append(self._content())
        self.seconds = max(seconds[1], run_whole(self._command(1), self.log))

    def _command(self, seed: int) -> Callable[[], object]:
        words = [self.name, str(self.photos), f"--out={self.out}", "--overwrite", f"--seed={seed}"]
        words += QUICK if self.name == "train" else ()
        return lambda: app(words, standalone_mode=False)

    def _content(self) -> str:
        if self.name == "split":
            return sha256(self.out)
        read_run_model(self.out)
        return " ".join(sha256(self.out / name) for name in ("model.onnx", "splits.csv", "predictions.csv"))

    def round(self, draw: random.Random) -> bool:
        """See `Rounds.round`."""
        killed = self.kill(draw, self._command(draw.randrange(2)))
        expect(self._content() in self.outputs, "neither the old output nor the new one")
        for left in self.folder.glob(f".{self.out.name}.*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        return killed


class Listing:
    """A provider that finds the photos of a server on loopback."""

    name = "listing"

    def __init__(self, port: int) -> None:
        self._port = port

    def search(self, query: str, client: httpx.Client) -> Iterator[Candidate]:
        """Find every second photo, for each of the two labels."""
        for number in range(LABELS.index(query), PHOTOS, len(LABELS)):
            yield Candidate(self.name, query, number, f"http://127.0.0.1:{self._port}/{number}", licence="CC0 1.0")


class Collecting(Rounds):
    """Kills while photos are collected. After a kill every row has its photo, and the next run goes on."""

    name = "collect"

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.log, self.port = folder / "photos", folder / "log", port
        self.work = self._collect
        self.seconds = run_whole(self.work, self.log)
        self._check(whole=True)

    def _collect(self) -> None:
        searches = searches_of({label: [label] for label in LABELS}, [Listing(self.port)])
        with quick_client() as client:
            collect(self.folder, CollectRequest(LABELS, PHOTOS, searches), client)

    def round(self, draw: random.Random) -> bool:
        """Start from nothing every third time, and go on with what an earlier kill left otherwise."""
        if draw.randrange(3) == 0:
            shutil.rmtree(self.folder, ignore_errors=True)  # a kill may have come before the folder
        killed = self.kill(draw)
        self._check(whole=not killed)
        if draw.randrange(10) == 0:
            run_whole(self.work, self.log)
            self._check(whole=True)
        return killed

    def _check(self, whole: bool) -> None:
        rows = read_sources(self.folder) if self.folder.exists() else []
        for row in rows:
            place = self.folder / row.file
            hidden = place.with_name(f".{place.name}.part")  # written down, and not yet moved to its place
            found = next((path for path in (place, hidden) if path.exists()), None)
            expect(found is not None and sha256(found) == row.sha256, f"{row.file} is not the photo of its row")
        if whole:
            files = {path.relative_to(self.folder).as_posix() for path in self.folder.glob("*/*")}
            expect({row.file for row in rows} == files, "rows and photos differ")
            expect(len(rows) == len(files) == PHOTOS, f"{len(rows)} rows, {len(files)} photos, expected {PHOTOS}")


@contextmanager
def loopback_server() -> Iterator[int]:
    """A server of photos in a process of its own, as a process with threads must not be forked: its port."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with misbehaving_server() as server:
            server.fallback = lambda path, before: answer(picture(int(path.strip("/"))))
            os.write(writing, f"{server.port}\n".encode())
            while os.getppid() != 1:
                time.sleep(0.5)
            os._exit(0)
    try:
        with os.fdopen(reading) as pipe:
            yield int(pipe.readline())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


SHARES = {"clean": 200, "restore": 150, "apply": 200, "undo": 150, "split": 100, "train": 100, "collect": 100}
"""How many of a thousand kills are of this kind."""


@contextmanager
def kinds(folder: Path) -> Iterator[dict[str, Rounds]]:
    """All kinds, each made ready in a folder of its own."""
    with loopback_server() as port:
        made: dict[str, Rounds] = {}
        for name in SHARES:
            place = folder / name
            place.mkdir(parents=True)
            if name == "collect":
                made[name] = Collecting(place, port)
            else:
                made[name] = (Command if name in ("split", "train") else Moving)(place, name)
        yield made
