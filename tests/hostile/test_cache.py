"""Deleting the feature cache loses time, never a result: the same model, whatever is wrong with the cache."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from process import QUICK, START, Ended, environment, roadclear
from scenes import write_scenes

from roadclear.errors import CacheWarning
from roadclear.features.cache import open_cache

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn photos. For reading only."""
    return write_scenes(tmp_path_factory.mktemp("drawn") / "photos", per_label=12)


@pytest.fixture(scope="module")
def sound(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The folder of a warm cache, for reading only, and the model that a training with it gives."""
    folder = tmp_path_factory.mktemp("sound")
    ended = train(photos, folder / "cache", folder / "run")
    assert (ended.code, ended.err) == (0, "")
    return folder / "cache", (folder / "run/model.onnx").read_bytes()


@pytest.fixture
def cache(sound: tuple[Path, bytes], tmp_path: Path) -> Path:
    """The file of a warm cache that a test may damage."""
    shutil.copytree(sound[0], tmp_path / "cache")
    return tmp_path / "cache/features.sqlite"


def train(photos: Path, cache: Path, out: Path) -> Ended:
    return roadclear("train", photos, "--out", out, *QUICK, env={"ROADCLEAR_CACHE_DIR": str(cache)})


@contextlib.contextmanager
def every_value_damaged(cache: Path) -> Iterator[None]:
    """One flipped bit in each value. The checksums stay."""
    with contextlib.closing(sqlite3.connect(cache)) as database, database:
        rows = database.execute("SELECT rowid, value FROM features").fetchall()
        damaged = [(value[:7] + bytes([value[7] ^ 64]) + value[8:], number) for number, value in rows]
        database.executemany("UPDATE features SET value = ? WHERE rowid = ?", damaged)
    yield


@contextlib.contextmanager
def overwritten(cache: Path) -> Iterator[None]:
    cache.write_bytes(b"no database" * 1000)
    yield


@contextlib.contextmanager
def cut(cache: Path) -> Iterator[None]:
    with cache.open("r+b") as file:
        file.truncate(cache.stat().st_size // 2 + 100)
    yield


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(cache, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def without_folder(cache: Path) -> Iterator[None]:
    """As in a home that cannot be written."""
    shutil.rmtree(cache.parent)
    cache.parent.symlink_to("/proc/self/nowhere")
    yield


@pytest.mark.slow
@pytest.mark.parametrize("fault", [every_value_damaged, overwritten, cut, locked, without_folder])
def test_the_model_is_the_same(
    fault: "type[contextlib.AbstractContextManager[None]]",
    photos: Path,
    sound: tuple[Path, bytes],
    cache: Path,
    tmp_path: Path,
) -> None:
    with fault(cache):
        ended = train(photos, cache.parent, tmp_path / "run")
    assert ended.code == 0, ended.err
    if fault is every_value_damaged:
        assert ended.err == ""
    else:
        assert ended.error().startswith(f"roadclear: warning: the feature cache {str(cache)!r} cannot be used (")
        assert "and the run goes on without it: to have a cache again, " in ended.error()
    assert (tmp_path / "run/model.onnx").read_bytes() == sound[1]


@pytest.mark.parametrize("value", [0x00, 0x1B, 0x80, 0xF8, 0xFF])
def test_a_damaged_table_definition_is_a_warning(tmp_path: Path, value: int) -> None:
    """SQLite quotes the definition in its message, which then may be no UTF-8, or hold control characters."""
    path = tmp_path / "features.sqlite"
    with open_cache(path) as cache:
        cache.put("a", "kind", "view", np.zeros(9))
    whole = path.read_bytes()
    place = whole.index(b"(", whole.index(b"CREATE TABLE features"))
    path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
    with (
        pytest.warns(CacheWarning, match="and the run goes on without it: to have a cache again, run") as caught,
        open_cache(path) as cache,
    ):
        assert cache.find("a", "kind", "view", np.float64) is None
    (warning,) = caught
    assert str(warning.message).isprintable()


def test_processes_that_open_a_fresh_cache_together(tmp_path: Path) -> None:
    """Each waits for the others. None finds the file locked."""
    program = (
        "import sys, warnings; from pathlib import Path; import numpy as np\n"
        "from roadclear.features.cache import open_cache\n"
        "warnings.simplefilter('error')\n"
        "for number in range(20):\n"
        "    sys.stdin.readline()\n"
        "    with open_cache(Path(sys.argv[1], str(number), 'features.sqlite')) as cache:\n"
        "        cache.put(sys.argv[2], 'kind', 'view', np.zeros(9))\n"
        "    print('done', flush=True)\n"
    )
    command = [sys.executable, "-c", program, tmp_path]
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen([*command, str(name)], stdin=pipe, stdout=pipe, text=True))
            for name in range(4)
        ]
        for number in range(20):
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "done\n"
            with contextlib.closing(sqlite3.connect(tmp_path / str(number) / "features.sqlite")) as database:
                assert database.execute("SELECT count(*) FROM features").fetchone() == (4,)


WATCHED = f"""
import sys, threading
def watch(event, arguments):
    if event in ("os.putenv", "os.unsetenv") and threading.active_count() > 1:
        print("changed beside threads:", arguments[0], file=sys.stderr)
sys.addaudithook(watch)
{START[2]}
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["split", "train", "triage"])
def test_nobody_changes_the_environment_beside_threads(command: str, photos: Path, tmp_path: Path) -> None:
    """While one thread changes the environment and another reads it, as libjpeg does, the process may die."""
    options = {
        "split": ["--out", tmp_path / "split.csv", "--engine", "onnxruntime"],
        "train": ["--out", tmp_path / "run", *QUICK],
        "triage": ["--out", tmp_path / "triage", "--repeats", "1", "--folds", "2"],
    }
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, command, photos, *options[command]],
        env=environment({"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
