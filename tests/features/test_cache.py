"""The feature cache: what was put in comes out, whoever shares it and whatever dies; and it says what to do."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from roadclear.errors import OutputError
from roadclear.features.cache import FeatureCache, clear_cache, open_cache
from roadclear.utils.paths import default_cache_path

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
        with open_cache(path) as other:
            assert 0 < other.info().features < 1000


class TestInfo:
    def test_it_counts(self, cache: FeatureCache, path: Path) -> None:
        assert (cache.info().photos, cache.info().features) == (0, 0)
        for photo, view in (("a", VIEW), ("a", "1"), ("b", VIEW)):
            cache.put(photo, KIND, view, row(0))
        cache.flush()
        info = cache.info()
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
        assert cache.info().features == 6 * 400
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
            assert cache.info().features == 200


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
            stored = cache.info().features
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

    def test_a_failed_transaction_leaves_nothing_and_can_be_repeated(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process holds the file: the rows wait, and are written once it lets go."""
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda file, **options: connect(file, **options | {"timeout": 0}))
        with open_cache(path) as cache, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            cache.put("a", KIND, VIEW, row(1))
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OutputError, match="database is locked"):
                cache.flush()
            other.execute("ROLLBACK")
            assert ("a", KIND, VIEW) not in cache
            cache.flush()
            assert ("a", KIND, VIEW) in cache


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
            assert cache.info().features == 0
            cache.put("a", KIND, VIEW, row(1))
        with open_cache(path) as cache:
            assert cache.info().features == 1
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("features",)]


class TestTrouble:
    """Every trouble is an OutputError of one line that names the file and says what to do."""

    CLEAR = "run `roadclear cache clear`"
    ELSEWHERE = "set ROADCLEAR_CACHE_DIR to a folder"

    @staticmethod
    def check(message: str, path: Path, advice: str) -> None:
        assert message.startswith(f"the feature cache {str(path)!r} cannot be used (")
        assert advice in message
        assert "--no-cache" in message
        assert "\n" not in message

    @pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
    def test_a_damaged_file(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with pytest.raises(OutputError) as caught:
            FeatureCache(path)
        self.check(str(caught.value), path, self.CLEAR)
        clear_cache(path)
        with open_cache(path) as cache:
            assert cache.info().features == 0

    def test_a_file_damaged_in_the_middle(self, path: Path) -> None:
        with open_cache(path) as cache:
            for number in range(300):
                cache.put(f"{number:03}", KIND, VIEW, row(number))
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xa5" * (path.stat().st_size - 8192))
        with pytest.raises(OutputError) as caught, open_cache(path) as cache:
            cache.load([f"{number:03}" for number in range(300)], KIND, VIEW, np.float32)
        self.check(str(caught.value), path, self.CLEAR)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        path = tmp_path / "taken" / "features.sqlite"
        with pytest.raises(OutputError) as caught:
            FeatureCache(path)
        self.check(str(caught.value), path, self.ELSEWHERE)

    def test_a_folder_where_the_file_should_be(self, path: Path) -> None:
        path.mkdir(parents=True)
        with pytest.raises(OutputError) as caught:
            FeatureCache(path)
        self.check(str(caught.value), path, self.ELSEWHERE)

    @pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
    def test_a_folder_that_cannot_be_written(self, existing: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "features.sqlite")
            if existing:
                with open_cache(path) as cache:
                    cache.put("a", KIND, VIEW, row(1))
            Path(folder).chmod(0o555)
            message = run(
                "import os, sys; from pathlib import Path; import numpy as np\n"
                "from roadclear.features.cache import open_cache\n"
                "from roadclear.errors import OutputError\n"
                "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                "try:\n"
                "    with open_cache(Path(sys.argv[1])) as cache: cache.put('b', 'base', 'plain', np.zeros(3))\n"
                "except OutputError as error: print(error)\n",
                path,
            ).stdout.removesuffix("\n")
            self.check(message, path, self.ELSEWHERE)

    def test_a_full_disk(self, path: Path) -> None:
        """No file may grow beyond 300 kB in this process: writing fails as on a full disk."""
        with open_cache(path) as cache:
            cache.put("before", KIND, VIEW, row(1))
        message = run(
            "import resource, sys; import numpy as np; from pathlib import Path\n"
            "from roadclear.features.cache import open_cache\n"
            "from roadclear.errors import OutputError\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
            "try:\n"
            "    with open_cache(Path(sys.argv[1])) as cache:\n"
            "        for number in range(600): cache.put(str(number), 'base', 'plain', np.zeros(1280, np.float32))\n"
            "except OutputError as error: print(error)\n",
            path,
        ).stdout.removesuffix("\n")
        self.check(message, path, self.ELSEWHERE)
        with open_cache(path) as cache:
            assert ("before", KIND, VIEW) in cache

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
        cache = FeatureCache(path)
        cache.put("a", KIND, VIEW, row(1))
        cache.flush()
        assert len(list(path.parent.iterdir())) > 1
        clear_cache(path)
        assert list(path.parent.iterdir()) == []
        clear_cache(path)
