"""A training that is killed, or that finds the disk full, leaves nothing half-done, and is simply run again."""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from process import QUICK, START, Ended, environment, run

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits"), pytest.mark.slow]

FILES = ("model.onnx", "history.csv", "splits.csv", "predictions.csv")
EMBEDDING_BYTES = 1280 * 4

Features = dict[tuple[str, ...], bytes]


def training(photos: Path, folder: Path, *options: str) -> list[str]:
    """The command that writes folder/run."""
    return [*START, "train", str(photos), "--out", str(folder / "run"), *QUICK, *options]


def own_cache(folder: Path) -> dict[str, str | None]:
    return {"ROADCLEAR_CACHE_DIR": str(folder / "cache")}


def start(photos: Path, folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        training(photos, folder, *options),
        env=environment(own_cache(folder)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def undisturbed(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run and the cache of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = run(training(drawn_photos, folder), env=own_cache(folder))
    assert ended.code == 0, ended.err
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Of a run's files, but those that say how long it took and where it lies."""
    return {name: hashlib.sha256((folder / "run" / name).read_bytes()).hexdigest() for name in FILES}


def cached(folder: Path) -> Features:
    """Key to feature, from a cache file that passes SQLite's own check; empty where there is none yet."""
    file = folder / "cache" / "features.sqlite"
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'features'").fetchone() is None:
            return {}
        rows = database.execute("SELECT photo, kind, view, value FROM features")
        return {tuple(key): value for *key, value in rows}


def staged(folder: Path) -> set[str]:
    """What a kill left of a run folder that was being written."""
    return {entry.name for entry in folder.iterdir() if entry.name.startswith(".run.")}


def assert_nothing_is_half_done(folder: Path, undisturbed: Path) -> None:
    """There is a whole run or none, and every feature in the cache is right."""
    if (folder / "run").exists():
        assert digests(folder) == digests(undisturbed)
    assert cached(folder).items() <= cached(undisturbed).items()


def assert_it_is_simply_run_again(photos: Path, folder: Path, undisturbed: Path) -> None:
    """It gives the same run, and computes only what the cache lacks."""
    known = sum(len(value) == EMBEDDING_BYTES for value in cached(folder).values())
    ended = run(training(photos, folder, "--overwrite"), env=own_cache(folder))
    assert (ended.code, ended.err) == (0, "")
    assert digests(folder) == digests(undisturbed)
    assert cached(folder) == cached(undisturbed)
    views, all_views = (
        json.loads((run_of / "run" / "metrics.json").read_text())["timing"]["views"] for run_of in (folder, undisturbed)
    )
    assert views == all_views - known


class TestKilled:
    """By SIGKILL, which no program can prepare for."""

    MOMENTS = 12
    WHILE_WRITING = 4

    def test_at_moments_spread_over_a_training(self, drawn_photos: Path, undisturbed: Path, tmp_path: Path) -> None:
        """Three folders take turns, so that most trainings go on where one before was killed."""
        began = time.monotonic()
        assert run(training(drawn_photos, tmp_path / "timed"), env=own_cache(tmp_path / "timed")).code == 0
        duration = time.monotonic() - began
        draw = random.Random(0)
        folders = [tmp_path / str(number) for number in range(3)]
        killed = 0
        for moment in range(self.MOMENTS):
            folder = folders[moment % len(folders)]
            folder.mkdir(exist_ok=True)
            with start(drawn_photos, folder, "--overwrite") as process:
                time.sleep(duration * (moment + draw.random()) / self.MOMENTS)
                process.kill()
            killed += process.returncode == -signal.SIGKILL
            assert_nothing_is_half_done(folder, undisturbed)
        assert killed > self.MOMENTS / 2
        for folder in folders:
            assert_it_is_simply_run_again(drawn_photos, folder, undisturbed)

    def test_while_the_run_folder_is_written(self, drawn_photos: Path, undisturbed: Path, tmp_path: Path) -> None:
        """With a warm cache, so that the moment comes soon. Every other time a run is there already."""
        shutil.copytree(undisturbed / "cache", tmp_path / "cache")
        for number in range(self.WHILE_WRITING):
            if number % 2 == 0:
                shutil.rmtree(tmp_path / "run", ignore_errors=True)
            before = staged(tmp_path)
            with start(drawn_photos, tmp_path, "--overwrite") as process:
                while process.poll() is None and staged(tmp_path) <= before:
                    time.sleep(0.0002)
                time.sleep(0.002 * number)
                process.kill()
            assert_nothing_is_half_done(tmp_path, undisturbed)
        assert staged(tmp_path), "no kill came while the run folder was written"
        assert_it_is_simply_run_again(drawn_photos, tmp_path, undisturbed)

    def test_an_interrupt_from_the_keyboard_ends_it_in_order(self, drawn_photos: Path, tmp_path: Path) -> None:
        with start(drawn_photos, tmp_path, "--epochs", "10000", "--patience", "10000") as process:
            while not cached(tmp_path):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode != 0
        assert b"Traceback" not in err
        assert [path.name for path in tmp_path.iterdir()] == ["cache"]


class TestDiskFull:
    """A limit on the size of files stands in for it: the kernel refuses to write on."""

    @staticmethod
    def files_of_at_most(size: int) -> Callable[[], None]:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    @pytest.mark.parametrize("there", [False, True], ids=["new", "over a run"])
    def test_for_the_run_folder(self, drawn_photos: Path, undisturbed: Path, tmp_path: Path, there: bool) -> None:
        shutil.copytree(undisturbed / "cache", tmp_path / "cache")
        if there:
            shutil.copytree(undisturbed / "run", tmp_path / "run")
        command = training(drawn_photos, tmp_path, "--overwrite", "--seed", "1")
        ended = run(command, env=own_cache(tmp_path), before=self.files_of_at_most(5_000_000))
        self.assert_told(ended, "cannot write")
        assert {path.name for path in tmp_path.iterdir()} == ({"cache", "run"} if there else {"cache"})
        if there:
            assert digests(tmp_path) == digests(undisturbed)

    def test_for_the_cache(self, drawn_photos: Path, undisturbed: Path, tmp_path: Path) -> None:
        command = training(drawn_photos, tmp_path)
        ended = run(command, env=own_cache(tmp_path), before=self.files_of_at_most(100_000))
        warning, error = ended.err.splitlines()
        assert (ended.code, ended.out) == (1, b"")
        assert "the feature cache" in warning and "the run goes on without it" in warning
        assert error.startswith("roadclear: cannot write")  # the run folder meets the same limit
        assert not (tmp_path / "run").exists()
        assert_nothing_is_half_done(tmp_path, undisturbed)
        assert_it_is_simply_run_again(drawn_photos, tmp_path, undisturbed)

    def test_for_a_model_file(self, undisturbed: Path, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"the one before")
        program = "import sys; from roadclear import load; load(sys.argv[1]).save(sys.argv[2], overwrite=True)"
        command = [sys.executable, "-c", program, undisturbed / "run", tmp_path / "model.onnx"]
        ended = run(command, before=self.files_of_at_most(5_000_000))
        assert "OutputError: cannot write" in ended.err.splitlines()[-1]
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        assert (tmp_path / "model.onnx").read_bytes() == b"the one before"

    @staticmethod
    def assert_told(ended: Ended, what: str) -> None:
        assert (ended.code, ended.out) == (1, b"")
        assert what in ended.error()
