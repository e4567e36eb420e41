"""Files and folders appear whole or not at all, whatever dies and whatever is full."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from folders import die_before_step

from roadclear.errors import OutputError
from roadclear.utils import files, renames
from roadclear.utils.files import (
    append_synced,
    as_output_error,
    check_free,
    check_new_folder,
    lies_in,
    remove_half_written,
    sync_folder,
    write_file,
    write_folder,
    write_synced,
)

FILES = {"model.onnx": b"\0" * 5000, "metrics.json": b"{}\n", "empty": b""}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tell(program: str, *arguments: Path | str) -> str:
    """What a program in a process of its own prints of the OutputError that it meets."""
    program = (
        "import os, resource, sys\nfrom roadclear.errors import OutputError\n"
        "from roadclear.utils.files import check_free, write_file, write_folder\n"
        f"try:\n    {program}\nexcept OutputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.removesuffix("\n")


class TestFile:
    @pytest.mark.parametrize(
        "name", ["model.onnx", "two\nlines", "n" * 255, "横断歩道" * 21, os.fsdecode(b"caf\xe9"), ".x"]
    )
    def test_it_is_written_with_its_folders(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "some" / "folder" / name
        write_file(path, b"content")
        assert path.read_bytes() == b"content"
        assert list(path.parent.iterdir()) == [path]

    def test_it_replaces_what_was_there(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"an older and longer content")
        write_file(str(path), b"new")
        assert path.read_bytes() == b"new"

    def test_a_folder_of_that_name_is_unharmed(self, tmp_path: Path) -> None:
        (tmp_path / "taken" / "inside").mkdir(parents=True)
        with pytest.raises(OutputError, match=r"^cannot write '.*taken': Is a directory; choose another place"):
            write_file(tmp_path / "taken", b"content")
        assert [path.name for path in tmp_path.iterdir()] == ["taken"]
        assert (tmp_path / "taken" / "inside").is_dir()

    def test_a_file_where_a_folder_is_needed(self, tmp_path: Path) -> None:
        (tmp_path / "taken").touch()
        with pytest.raises(OutputError, match=r"^cannot write '.*': (File exists|Not a directory); choose"):
            write_file(tmp_path / "taken" / "file", b"content")

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_permissions_are_those_of_any_new_file(self, tmp_path: Path, mask: int) -> None:
        before = os.umask(mask)
        try:
            write_file(tmp_path / "file", b"")
            write_folder(tmp_path / "run", FILES)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o777 & ~mask
        assert stat.S_IMODE((tmp_path / "run" / "empty").stat().st_mode) == 0o666 & ~mask


class TestFolder:
    def test_it_holds_the_files_and_nothing_else(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "deep" / "run", FILES)
        assert content(tmp_path / "deep" / "run") == FILES
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run"]

    @pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "broken link"])
    def test_what_is_there_is_not_replaced_unasked(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "run"
        self.make(path, kind)
        before = sorted(tmp_path.rglob("*"))
        for refuse in (lambda: write_folder(path, FILES), lambda: check_free(path, overwrite=False)):
            with pytest.raises(OutputError) as caught:
                refuse()
            assert str(caught.value) == f"{str(path)!r} is already there: choose another name, or add --overwrite"
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("kind", ["folder", "empty folder"])
    def test_overwriting_replaces_the_whole_folder(self, tmp_path: Path, kind: str) -> None:
        self.make(tmp_path / "run", kind)
        write_folder(tmp_path / "run", FILES, overwrite=True)
        assert content(tmp_path / "run") == FILES
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    @pytest.mark.parametrize("kind", ["file", "broken link"])
    def test_overwriting_replaces_nothing_but_folders(self, tmp_path: Path, kind: str) -> None:
        self.make(tmp_path / "run", kind)
        with pytest.raises(OutputError, match=r"is already there and is no folder: choose another name$"):
            write_folder(tmp_path / "run", FILES, overwrite=True)
        assert os.path.lexists(tmp_path / "run")

    def test_overwriting_what_is_not_there(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "run", FILES, overwrite=True)
        assert content(tmp_path / "run") == FILES

    def test_checking_leaves_no_trace(self, tmp_path: Path) -> None:
        check_free(tmp_path / "run", overwrite=False)
        assert list(tmp_path.iterdir()) == []

    @staticmethod
    def make(path: Path, kind: str) -> None:
        if kind == "file":
            path.write_text("mine")
        elif kind == "broken link":
            path.symlink_to("nowhere")
        else:
            path.mkdir()
            if kind == "folder":
                (path / "mine").write_text("mine")


class TestReplacing:
    """What a user has trained for hours is there before, and is there after Ctrl-C at any moment."""

    NEW: ClassVar[dict[str, bytes]] = {"a": b"new"}

    @pytest.fixture
    def no_swap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renames, "_system_call", lambda: None)

    @pytest.mark.parametrize("interrupted", range(1, 7))
    @pytest.mark.parametrize("swap", [True, False])
    def test_ctrl_c_at_any_step_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: int, swap: bool
    ) -> None:
        path = tmp_path / "run"
        write_folder(path, FILES)
        if not swap:
            monkeypatch.setattr(renames, "_system_call", lambda: None)
        count = 0

        def interrupt(function: Callable[..., object]) -> Callable[..., object]:
            def interrupted_function(*arguments: object, **named: object) -> object:
                nonlocal count
                count += 1
                if count == interrupted:
                    raise KeyboardInterrupt
                return function(*arguments, **named)

            return interrupted_function

        for name in ("rename", "link", "stat"):
            monkeypatch.setattr(os, name, interrupt(getattr(os, name)))
        monkeypatch.setattr(files, "exchange", interrupt(files.exchange))
        with contextlib.suppress(KeyboardInterrupt):
            write_folder(path, self.NEW, overwrite=True)
        monkeypatch.undo()
        assert content(path) in (FILES, self.NEW)
        # A removal that was interrupted leaves a part of what it was to remove.
        assert {entry.name for entry in tmp_path.iterdir() if entry.name[0] != "."} <= {"run", "run.replaced"}

    @pytest.mark.usefixtures("no_swap")
    def test_without_a_swap_the_folder_is_replaced_too(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "run", FILES)
        (tmp_path / "run.replaced").mkdir()
        write_folder(tmp_path / "run", self.NEW, overwrite=True)
        assert content(tmp_path / "run") == self.NEW
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run", "run.replaced"]

    @pytest.mark.parametrize("swap", [True, False])
    def test_a_link_to_a_folder_is_replaced_and_not_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: bool
    ) -> None:
        if not swap:
            monkeypatch.setattr(renames, "_system_call", lambda: None)
        write_folder(tmp_path / "elsewhere", FILES)
        (tmp_path / "run").symlink_to("elsewhere")
        write_folder(tmp_path / "run", self.NEW, overwrite=True)
        assert content(tmp_path / "elsewhere") == FILES
        assert content(tmp_path / "run") == self.NEW
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", "run"]

    def test_a_folder_that_appears_at_the_last_moment_is_unharmed(self, tmp_path: Path) -> None:
        class Late(dict[str, bytes]):
            def items(self) -> Any:
                write_folder(tmp_path / "run", FILES)
                return super().items()

        with pytest.raises(OutputError, match="already there"):
            write_folder(tmp_path / "run", Late(self.NEW))
        assert content(tmp_path / "run") == FILES

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    def test_all_is_on_disk_before_and_after_the_swap(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        order: list[str] = []
        fsync, swap = os.fsync, files.exchange

        def remember(descriptor: int) -> None:
            order.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
            fsync(descriptor)

        def remember_swap(first: Path, second: Path) -> bool:
            order.append("swap")
            return swap(first, second)

        write_folder(tmp_path / "run", FILES)
        monkeypatch.setattr(os, "fsync", remember)
        monkeypatch.setattr(files, "exchange", remember_swap)
        write_folder(tmp_path / "run", FILES, overwrite=True)
        assert order[:3] == list(FILES)
        assert order[3].startswith(".run.")
        assert order[4:] == ["swap", tmp_path.name]


class TestLeftovers:
    def test_only_our_own_temporary_files_are_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "cleaning.csv"
        theirs = [".cleaning.csv.bak", ".cleaning.csv.original", ".cleaning.csv.1234567.roadclear", "cleaning.csv"]
        for name in [*theirs, ".cleaning.csv.ab_12345.roadclear"]:
            (tmp_path / name).write_bytes(b"mine")
        remove_half_written(path)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(theirs)

    def test_a_kill_leaves_what_is_then_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "n[a]*me.csv"
        assert die_before_step(2, lambda: write_file(path, b"content"))
        assert len(list(tmp_path.iterdir())) == 1
        remove_half_written(path)
        assert list(tmp_path.iterdir()) == []


class TestLiesIn:
    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            ("photos", True),
            ("photos/a", True),
            ("photos/../b", False),
            ("link/a", True),
            ("loop", False),
            ("other", False),
        ],
    )
    def test_links_are_followed_and_loops_are_no_trouble(self, tmp_path: Path, path: str, answer: bool) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "link").symlink_to("photos")
        (tmp_path / "loop").symlink_to("loop")
        assert lies_in(tmp_path / path, tmp_path / "photos") == answer
        assert not lies_in("n" * 5000, tmp_path)


class TestSynced:
    """That bytes outlast a power cut cannot be tested here; that the system is asked for it can."""

    def test_content_and_name_are_on_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def remember(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").resolve().name if sys.platform == "linux" else "")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", remember)
        write_synced(tmp_path / "file", b"one")
        append_synced(tmp_path / "file", b"two")
        assert (tmp_path / "file").read_bytes() == b"onetwo"
        if sys.platform == "linux":
            assert synced == ["file", tmp_path.name, "file"]

    def test_errors_are_those_of_the_system(self, tmp_path: Path) -> None:
        for write in (write_synced, append_synced):
            with pytest.raises(IsADirectoryError):
                write(tmp_path, b"")
        with pytest.raises(FileNotFoundError):
            sync_folder(tmp_path / "missing")


class TestAdvice:
    def test_the_message_says_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "taken").mkdir()
        with pytest.raises(OutputError, match=r"Is a directory; make room there$"):
            write_file(tmp_path / "taken", b"", advice="make room there")
        with pytest.raises(OutputError, match=r"^cannot write 'a': .*; wait$"), as_output_error(Path("a"), "wait"):
            (tmp_path / "taken").read_bytes()

    def test_other_errors_pass(self) -> None:
        with pytest.raises(KeyError), as_output_error(Path("a")):
            raise KeyError


class TestNewFolder:
    @pytest.mark.parametrize("there", ["folder", "file", "link"])
    def test_what_is_there_is_left_alone(self, tmp_path: Path, there: str) -> None:
        place = tmp_path / "maps"
        {"folder": place.mkdir, "file": place.touch, "link": lambda: place.symlink_to("nowhere")}[there]()
        with pytest.raises(OutputError, match="already there"):
            check_new_folder(place, [])

    @pytest.mark.parametrize(("place", "refused"), [("maps", True), ("a/maps", True), ("../maps", False)])
    def test_photos_are_no_place_for_pictures(self, tmp_path: Path, place: str, refused: bool) -> None:
        inputs = tmp_path / "photos"
        (inputs / "a").mkdir(parents=True)
        if refused:
            with pytest.raises(OutputError, match="among the photos"):
                check_new_folder(inputs / place, [inputs])
        else:
            check_new_folder(inputs / place, [inputs, inputs / "a.jpg", "*.jpg"])
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "photos"]


class TestTrouble:
    @pytest.mark.parametrize(
        "program",
        [
            "write_file(sys.argv[1], b'x')",
            "write_folder(sys.argv[1], {'a': b'x'})",
            "check_free(sys.argv[1], overwrite=False)",
        ],
    )
    def test_a_folder_that_cannot_be_written(self, program: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o555)
            drop = "os.geteuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))"
            path = Path(folder, "out")
            told = tell(f"{drop}; {program}", path)
            assert told == f"cannot write {str(path)!r}: Permission denied; choose another place"
            assert os.listdir(folder) == []  # noqa: PTH208

    @pytest.mark.parametrize(
        "program",
        ["write_file(sys.argv[1], bytes(10**6))", "write_folder(sys.argv[1], {'a': b'x', 'b': bytes(10**6)}, True)"],
    )
    def test_a_full_disk_leaves_what_was_there(self, tmp_path: Path, program: str) -> None:
        """No file may grow beyond 100 kB in this process: writing fails as on a full disk."""
        path = tmp_path / "out"
        if "folder" in program:
            write_folder(path, FILES)
        else:
            write_file(path, b"old")
        told = tell(f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); {program}", path)
        assert told == f"cannot write {str(path)!r}: File too large; choose another place"
        assert (content(path) == FILES) if path.is_dir() else (path.read_bytes() == b"old")
        assert list(tmp_path.iterdir()) == [path]


class TestKills:
    """A process that writes without end is killed at some moment, many times."""

    ROUNDS = 8
    WRITER = (
        "import itertools, sys\nfrom pathlib import Path\nfrom roadclear.utils.files import write_file, write_folder\n"
        "path = Path(sys.argv[1])\n"
        "for number in itertools.count():\n"
        "    value = b'%08d' % number * 50_000\n"
        "    if sys.argv[2] == 'file': write_file(path, value)\n"
        "    else: write_folder(path, {'a': value, 'b': value}, overwrite=True)\n"
        "    print(number, flush=True)\n"
    )

    def kill_a_writer(self, path: Path, what: str, writes: int) -> None:
        command = [sys.executable, "-c", self.WRITER, str(path), what]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(writes):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)

    def test_a_file_is_the_old_or_the_new_one(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        for writes in range(1, self.ROUNDS):
            self.kill_a_writer(path, "file", writes)
            self.check_whole(path.read_bytes(), at_least=writes - 1)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="swaps two names in one step")
    def test_a_folder_is_whole_at_every_moment(self, tmp_path: Path) -> None:
        for writes in range(1, self.ROUNDS):
            path = tmp_path / str(writes) / "run"
            self.kill_a_writer(path, "folder", writes)
            found = content(path)
            assert found.keys() == {"a", "b"}
            assert found["a"] == found["b"]
            self.check_whole(found["a"], at_least=writes - 1)

    @pytest.mark.slow
    @pytest.mark.parametrize("swap", [True, False])
    def test_a_kill_at_every_step_leaves_the_old_or_the_new_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: bool
    ) -> None:
        """Where two names cannot be swapped, the old folder may stand beside its place, under a name that is seen."""
        if not swap:
            monkeypatch.setattr(renames, "_system_call", lambda: None)
        new = {"a": b"new", "b": b"new"}
        places = set()
        for step in range(1, 100):
            path = tmp_path / str(step) / "run"
            write_folder(path, FILES)
            killed = die_before_step(step, lambda path=path: write_folder(path, new, overwrite=True))
            place = path if path.exists() else path.with_name("run.replaced")
            places.add(place.name)
            assert content(place) in (FILES, new)
            if not killed:
                break
        assert content(path) == new
        assert [entry.name for entry in path.parent.iterdir()] == ["run"]
        assert places == ({"run"} if swap and sys.platform.startswith("linux") else {"run", "run.replaced"})

    @staticmethod
    def check_whole(value: bytes, at_least: int) -> None:
        assert value == value[:8] * 50_000
        assert int(value[:8]) >= at_least
