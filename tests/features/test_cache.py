"""The feature cache: what was put in comes out, whoever shares it and whatever dies; and it says what to do."""

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from roadclear.errors import CacheWarning, OutputError
from roadclear.features.cache import CacheInfo, FeatureCache, clear_cache, open_cache, read_info
from roadclear.utils.paths import default_cache_path

pytestmark = pytest.mark.slow

KIND, VIEW = "base", "plain"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "folder" / "features.sqlite"


@pytest.fixture
def cache(path: Path) -> Iterator[FeatureCache]:
    with open_cache(path) as cache:
        yield cache


def row(number: int) -> NDArray[np.float32]:
    """A value that gives away a mix-up or a missing piece."""
    return np.full(1280, number, dtype=np.float32)


def run(program: str, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=120)


class TestRoundTrip:
    @settings(max_examples=25, deadline=None)
    @given(value=arrays.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32)))
    def test_any_embedding_comes_out_bit_for_bit(self, value: NDArray[np.float32]) -> None:
        with open_cache(None) as cache:
            cache.put("photo", KIND, VIEW, value)
            cache.flush()
            found = cache.load(["photo"], KIND, VIEW, np.float32)
        assert found.dtype == np.float32
        assert found[0].tobytes() == value.tobytes()

    def test_fingerprints_of_64_bits(self, cache: FeatureCache) -> None:
        value = np.array([0, 1, 2**64 - 1], dtype=np.uint64)
        cache.put("photo", "fingerprint", VIEW, value)
        cache.flush()
        assert np.array_equal(cache.load(["photo"], "fingerprint", VIEW, np.uint64), [value])

    def test_load_keeps_the_order_and_repeats(self, cache: FeatureCache) -> None:
        for number in range(10):
            cache.put(str(number), KIND, VIEW, row(number))
        cache.flush()
        loaded = cache.load(["7", "0", "7", "3"], KIND, VIEW, np.float32)
        assert loaded.shape == (4, 1280)
        assert loaded[:, 0].tolist() == [7, 0, 7, 3]

    @pytest.mark.parametrize("key", [("b", KIND, VIEW), ("a", "other base", VIEW), ("a", KIND, "1:rotation=5")])
    def test_photo_kind_and_view_are_told_apart(self, cache: FeatureCache, key: tuple[str, str, str]) -> None:
        cache.put("a", KIND, VIEW, row(1))
        cache.flush()
        assert ("a", KIND, VIEW) in cache
        assert key not in cache
        with pytest.raises(KeyError):
            cache.load([key[0]], *key[1:], np.float32)
        cache.put(*key, row(2))
        cache.flush()
        assert cache.load([key[0]], *key[1:], np.float32)[0, 0] == 2
        assert cache.load(["a"], KIND, VIEW, np.float32)[0, 0] == 1

    def test_the_first_value_of_a_key_stays(self, cache: FeatureCache) -> None:
        for number in (1, 2):
            cache.put("a", KIND, VIEW, row(number))
            cache.flush()
        assert cache.load(["a"], KIND, VIEW, np.float32)[0, 0] == 1

    def test_closing_writes_what_waits(self, path: Path) -> None:
        with open_cache(path) as cache:
            cache.put("a", KIND, VIEW, row(1))
        with open_cache(path) as cache:
            assert ("a", KIND, VIEW) in cache

    def test_many_waiting_rows_are_written_unasked(self, cache: FeatureCache, path: Path) -> None:
        for number in range(1000):
            cache.put(str(number), KIND, VIEW, row(number))
        assert 0 < read_info(path).features < 1000


class TestInfo:
    def test_a_missing_file_is_an_empty_cache_and_is_not_made(self, path: Path) -> None:
        assert read_info(path) == CacheInfo(path, 0, 0, 0)
        assert not path.parent.exists()

    def test_a_damaged_file_is_an_error(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no database at all" * 100)
        with pytest.raises(
            OutputError, match="cannot be read \\(file is not a database\\): run `roadclear cache clear`"
        ):
            read_info(path)

    def test_it_counts(self, cache: FeatureCache, path: Path) -> None:
        assert (read_info(path).photos, read_info(path).features) == (0, 0)
        for photo, view in (("a", VIEW), ("a", "1"), ("b", VIEW)):
            cache.put(photo, KIND, view, row(0))
        cache.flush()
        info = read_info(path)
        assert (info.path, info.photos, info.features) == (path, 2, 3)
        assert info.bytes == sum(file.stat().st_size for file in path.parent.iterdir())


class TestShared:
    def test_between_two_open_caches(self, path: Path) -> None:
        with open_cache(path) as one, open_cache(path) as other:
            one.put("a", KIND, VIEW, row(1))
            one.flush()
            assert other.load(["a"], KIND, VIEW, np.float32)[0, 0] == 1
            other.put("b", KIND, VIEW, row(2))
            other.flush()
            assert one.load(["a", "b"], KIND, VIEW, np.float32)[:, 0].tolist() == [1, 2]

    def test_between_threads(self, cache: FeatureCache) -> None:
        """Nothing that one thread puts is lost when another flushes."""

        def fill(thread: int) -> None:
            for number in range(400):
                cache.put(f"{thread}-{number}", KIND, VIEW, row(number))
                if number % 7 == thread:
                    cache.flush()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(fill, range(6)))
        cache.flush()
        assert read_info(cache.path).features == 6 * 400
        for thread in range(6):
            loaded = cache.load([f"{thread}-{number}" for number in range(400)], KIND, VIEW, np.float32)
            assert np.array_equal(loaded, np.stack([row(number) for number in range(400)]))

    def test_between_processes_that_start_together(self, path: Path) -> None:
        program = (
            "import sys, numpy as np; from pathlib import Path; from roadclear.features.cache import open_cache\n"
            "sys.stdin.readline()\n"
            "with open_cache(Path(sys.argv[1])) as cache:\n"
            "    for number in range(50):\n"
            "        cache.put(f'{sys.argv[2]}-{number}', 'base', 'plain', np.full(1280, number, np.float32))\n"
            "        cache.flush()\n"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", program, path, str(n)], stdin=subprocess.PIPE) for n in range(4)
        ]
        with contextlib.ExitStack() as stack:
            for process in processes:
                stack.enter_context(process)
            for process in processes:
                assert process.stdin is not None
                process.stdin.close()
        assert [process.returncode for process in processes] == [0] * 4
        with open_cache(path) as cache:
            assert read_info(cache.path).features == 200


class TestKills:
    WRITER = (
        "import sys, numpy as np; from pathlib import Path; from roadclear.features.cache import FeatureCache\n"
        "cache = FeatureCache(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    cache.put(f'{number:09}', 'base', 'plain', np.full(1280, number, np.float32))\n"
        "    if number % 20 == 19:\n"
        "        cache.flush()\n"
        "        print(number + 1, flush=True)\n"
    )

    @pytest.mark.parametrize("batches", [1, 7, 30])
    def test_what_was_flushed_is_there_and_every_row_is_whole(self, path: Path, batches: int) -> None:
        with subprocess.Popen([sys.executable, "-c", self.WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            flushed = [int(writer.stdout.readline()) for _ in range(batches)][-1]
            writer.send_signal(signal.SIGKILL)
        with open_cache(path) as cache:
            stored = read_info(cache.path).features
            assert stored >= flushed
            assert stored % 20 == 0
            loaded = cache.load([f"{number:09}" for number in range(stored)], KIND, VIEW, np.float32)
            assert np.array_equal(loaded, np.stack([row(number) for number in range(stored)]))
            cache.put("after", KIND, VIEW, row(1))
        self.check_whole(path)

    @staticmethod
    def check_whole(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class TestOtherFormats:
    @pytest.mark.parametrize("version", [1, 99])
    def test_the_file_is_emptied(self, path: Path, version: int) -> None:
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE features (something TEXT)")
            database.execute("CREATE TABLE embeddings (photo TEXT)")
            database.execute("INSERT INTO features VALUES ('else')")
            database.execute(f"PRAGMA user_version = {version}")
        with open_cache(path) as cache:
            assert read_info(cache.path).features == 0
            cache.put("a", KIND, VIEW, row(1))
        with open_cache(path) as cache:
            assert read_info(cache.path).features == 1
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("features",)]
            assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)

    def test_a_write_ahead_log_of_an_earlier_version_is_given_up(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE features (photo TEXT)")
            with open_cache(path) as cache:  # the earlier version is still at work
                cache.put("a", KIND, VIEW, row(1))
        with open_cache(path) as cache:
            assert ("a", KIND, VIEW) in cache
        assert [file.name for file in path.parent.iterdir()] == [path.name]


class TestChecksums:
    @staticmethod
    def change(path: Path, statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            assert database.execute(statement, values).rowcount > 0

    @pytest.mark.parametrize(
        "damage",
        [
            "value = x'00' || substr(value, 2)",
            "value = substr(value, 5)",
            "value = x''",
            "value = 'möhre'",
            "value = 5",
            "value = 0.5",
            "checksum = x''",
            "checksum = zeroblob(16)",
            "checksum = 7",
        ],
    )
    def test_a_damaged_value_counts_as_not_stored_and_is_replaced(self, path: Path, damage: str) -> None:
        value = row(1) + np.float32(1 / 3)
        with open_cache(path) as cache:
            cache.put("a", KIND, VIEW, value)
            cache.put("b", KIND, VIEW, value)
        self.change(path, f"UPDATE features SET {damage} WHERE photo = 'a'")
        with open_cache(path) as cache:
            assert ("a", KIND, VIEW) not in cache
            assert ("b", KIND, VIEW) in cache
            assert cache.find("a", KIND, VIEW, np.float32) is None
            with pytest.raises(KeyError):
                cache.load(["a"], KIND, VIEW, np.float32)
            cache.put("a", KIND, VIEW, value)
            cache.flush()
            assert np.array_equal(cache.load(["a"], KIND, VIEW, np.float32), [value])

    @pytest.mark.parametrize("column", ["photo", "kind", "view"])
    def test_a_value_under_another_key_is_damaged(self, path: Path, column: str) -> None:
        with open_cache(path) as cache:
            cache.put("a", KIND, VIEW, row(1))
        self.change(path, f"UPDATE features SET {column} = 'z'")
        key = {"photo": "a", "kind": KIND, "view": VIEW} | {column: "z"}
        with open_cache(path) as cache:
            assert (key["photo"], key["kind"], key["view"]) not in cache

    def test_any_flipped_bit_of_the_file_gives_the_value_or_none(self, path: Path, tmp_path: Path) -> None:
        """Where the file is damaged beyond reading, a warning says so."""
        with open_cache(path) as cache:
            for number in range(8):
                cache.put(str(number), KIND, VIEW, row(number)[:40])
        whole = path.read_bytes()
        draw = np.random.default_rng(0)
        mutant = tmp_path / "mutant.sqlite"
        lost = 0
        for place in draw.integers(len(whole) * 8, size=250).tolist():
            data = bytearray(whole)
            data[place // 8] ^= 1 << place % 8
            clear_cache(mutant)
            mutant.write_bytes(data)
            with warnings.catch_warnings(action="ignore", category=CacheWarning), open_cache(mutant) as cache:
                for number in range(8):
                    found = cache.find(str(number), KIND, VIEW, np.float32)
                    lost += found is None
                    assert found is None or np.array_equal(found, row(number)[:40])
                cache.put("0", KIND, VIEW, row(0)[:40])
                cache.flush()
                assert np.array_equal(cache.load(["0"], KIND, VIEW, np.float32)[0], row(0)[:40])
        assert lost > 0


class TestTrouble:
    """Every trouble is one warning of one line that names the file and says what to do. Then all works without it."""

    CLEAR = "to have a cache again, run `roadclear cache clear`"
    ELSEWHERE = "to have a cache again, set ROADCLEAR_CACHE_DIR to a folder that has space and can be written"
    WAIT = "to have a cache again, wait until the other process that uses the file has ended"

    @contextlib.contextmanager
    def one_warning(self, path: Path, reason: str, advice: str) -> Iterator[None]:
        with pytest.warns(CacheWarning) as caught:
            yield
        (warning,) = caught
        assert str(warning.message) == (
            f"the feature cache {str(path)!r} cannot be used ({reason}), and the run goes on without it: {advice}"
        )

    @staticmethod
    def use(cache: FeatureCache, path: Path, first: int = 0) -> None:
        for number in range(first, first + 600):
            cache.put(str(number), KIND, VIEW, row(number))
        cache.flush()
        last = first + 599
        assert np.array_equal(cache.load([str(last), str(first)], KIND, VIEW, np.float32), [row(last), row(first)])
        assert cache.path == path

    @pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
    def test_a_damaged_file(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with self.one_warning(path, "file is not a database", self.CLEAR), open_cache(path) as cache:
            self.use(cache, path)
        assert path.read_bytes() == content
        clear_cache(path)
        with open_cache(path) as cache:
            self.use(cache, path)
        assert read_info(path).features == 600

    def test_a_file_damaged_in_the_middle(self, path: Path) -> None:
        with open_cache(path) as cache:
            self.use(cache, path)
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xa5" * (path.stat().st_size - 8192))
        with self.one_warning(path, "database disk image is malformed", self.CLEAR), open_cache(path) as cache:
            assert [cache.find(str(number), KIND, VIEW, np.float32) for number in range(600)] == [None] * 600
            self.use(cache, path)

    @pytest.mark.parametrize("suffix", ["", "-journal"])
    def test_a_file_cut_short_while_it_is_used(self, path: Path, suffix: str) -> None:
        with warnings.catch_warnings(record=True) as caught, open_cache(path) as cache:
            warnings.simplefilter("always")
            self.use(cache, path)
            Path(f"{path}{suffix}").write_bytes(b"")
            assert cache.find("0", KIND, VIEW, np.float32) is None or suffix
            self.use(cache, path)
        assert len(caught) <= 1

    @pytest.mark.parametrize("remove", [Path.unlink, shutil.rmtree], ids=["file", "folder"])
    def test_a_file_removed_while_it_is_used_is_made_again(self, path: Path, remove: Callable[[Path], None]) -> None:
        with warnings.catch_warnings(action="error"), open_cache(path) as cache:
            self.use(cache, path)
            remove(path if remove is Path.unlink else path.parent)
            self.use(cache, path, 1000)
        assert read_info(path).features == 600

    def test_clearing_beside_a_run_is_no_trouble(self, path: Path) -> None:
        with warnings.catch_warnings(action="error"), open_cache(path) as cache:
            for number in range(3):
                cache.put(str(number), KIND, VIEW, row(number))
                cache.flush()
                clear_cache(path)
                cache.put("again", KIND, VIEW, row(7))
                cache.flush()
                assert cache.load(["again"], KIND, VIEW, np.float32)[0, 0] == 7

    def test_a_file_that_is_removed_all_the_time(self, path: Path) -> None:
        with pytest.warns(CacheWarning), open_cache(path) as cache:
            for number in range(9):
                cache.put(str(number), KIND, VIEW, row(number))
                cache.flush()
                path.unlink(missing_ok=True)
            self.use(cache, path)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        path = tmp_path / "taken" / "features.sqlite"
        with self.one_warning(path, "File exists", self.ELSEWHERE), open_cache(path) as cache:
            self.use(cache, path)

    def test_a_folder_where_the_file_should_be(self, path: Path) -> None:
        path.mkdir(parents=True)
        with self.one_warning(path, "unable to open database file", self.ELSEWHERE), open_cache(path) as cache:
            self.use(cache, path)

    @pytest.mark.slow
    @pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
    @pytest.mark.parametrize("late", [False, True], ids=["before it opens", "while it is used"])
    def test_a_lock_of_another_process_costs_seconds(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, lock: str, late: bool
    ) -> None:
        monkeypatch.setattr("roadclear.features.store._LOCKED_SECONDS", 0.3)
        with open_cache(path) as cache:
            cache.put("before", KIND, VIEW, row(1))
        started = time.monotonic()
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
            self.one_warning(path, "database is locked", self.WAIT),
            contextlib.ExitStack() as stack,
        ):
            cache = stack.enter_context(open_cache(path)) if late else cache
            other.execute(lock)
            cache = cache if late else stack.enter_context(open_cache(path))
            self.use(cache, path)
            self.use(cache, path)
        assert time.monotonic() - started < 5
        with open_cache(path) as cache:
            assert ("before", KIND, VIEW) in cache

    PROGRAM = (
        "import os, resource, sys, warnings; import numpy as np; from pathlib import Path\n"
        "from roadclear.features.cache import open_cache\n"
        "warnings.showwarning = lambda message, *where: print(message)\n"
        "if sys.argv[2] == 'nobody' and os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "if sys.argv[2] == 'full': resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "if sys.argv[2] == 'nowhere': import tempfile; tempfile.tempdir = '/dev/null/nowhere'\n"
        "with open_cache(Path(sys.argv[1]) if sys.argv[1] else None) as cache:\n"
        "    for number in range(600): cache.put(str(number), 'base', 'plain', np.full(1280, number, np.float32))\n"
        "    cache.flush()\n"
        "    loaded = cache.load([str(number) for number in range(600)], 'base', 'plain', np.float32)\n"
        "assert np.array_equal(loaded[:, 0], range(600))\n"
    )

    def sentence(self, path: Path | str, how: str) -> str:
        """The only line that a process prints whose cache is in trouble. It finds all 600 features nevertheless."""
        return run(self.PROGRAM, path, how).stdout.removesuffix("\n")

    @pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
    def test_a_folder_that_cannot_be_written(self, existing: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "features.sqlite")
            if existing:
                with open_cache(path) as cache:
                    cache.put("a", KIND, VIEW, row(1))
            Path(folder).chmod(0o555)
            sentence = self.sentence(path, "nobody")
            assert sentence.startswith(f"the feature cache {str(path)!r} cannot be used (")
            assert sentence.endswith(self.ELSEWHERE)
            assert "\n" not in sentence

    def test_a_full_disk(self, path: Path) -> None:
        """No file may grow beyond 300 kB in this process, a temporary file neither: all is held in memory."""
        with open_cache(path) as cache:
            cache.put("before", KIND, VIEW, row(1))
        sentence = self.sentence(path, "full")
        assert sentence.startswith(f"the feature cache {str(path)!r} cannot be used (")
        assert sentence.endswith(self.ELSEWHERE)
        assert "\n" not in sentence
        with open_cache(path) as cache:
            assert ("before", KIND, VIEW) in cache
            assert read_info(path).features == 1

    def test_no_cache_and_no_temporary_folder(self) -> None:
        assert self.sentence("", "nowhere") == ""

    def test_a_closed_cache_says_so(self, path: Path) -> None:
        """A thread that outlives its run gets an error. It once got a file that was being closed."""
        with open_cache(path) as cache:
            pass
        with pytest.raises(OutputError, match="is closed: open it again"):
            cache.find("a", KIND, VIEW, np.float32)

    def test_a_cache_that_cannot_be_deleted(self, path: Path) -> None:
        path.mkdir(parents=True)
        with pytest.raises(OutputError, match="cannot be deleted: Is a directory"):
            clear_cache(path)


class TestWhere:
    def test_in_the_folder_of_the_environment_variable(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path))
        assert default_cache_path() == tmp_path / "features.sqlite"

    @pytest.mark.parametrize("value", [None, ""])
    def test_else_in_the_system_s_folder_for_caches(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/caches")
        if value is None:
            monkeypatch.delenv("ROADCLEAR_CACHE_DIR")
        else:
            monkeypatch.setenv("ROADCLEAR_CACHE_DIR", value)
        path = default_cache_path()
        assert path.name == "features.sqlite"
        assert path.parent.name == "roadclear"
        if sys.platform == "linux":
            assert path.parent == Path("/somewhere/caches/roadclear")

    def test_a_cache_of_this_run_alone_is_deleted_in_the_end(self) -> None:
        with open_cache(None) as cache:
            cache.put("a", KIND, VIEW, row(1))
            cache.flush()
            path = cache.path
            assert path.exists()
        assert not path.parent.exists()

    def test_clearing_removes_all_files_of_the_cache(self, path: Path) -> None:
        with open_cache(path) as cache:
            cache.put("a", KIND, VIEW, row(1))
        for name in ("features.sqlite-journal", "features.sqlite-wal", "checkpoint-1.npz", ".checkpoint-1.npz.abcdef"):
            (path.parent / name).touch()
        clear_cache(path)
        assert list(path.parent.iterdir()) == []
        clear_cache(path)
