"""Renames overwrite nothing, and swap two names at once, with the system's call and without."""

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import die_before_step

from roadclear.utils import renames
from roadclear.utils.renames import exchange, rename_new

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes links and pipes")

KINDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_bytes(b"content"),
    "empty folder": lambda path: path.mkdir(),
    "folder": lambda path: (path / "inside").mkdir(parents=True),
    "link": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
}


@pytest.fixture(params=["system call", "hard link", "neither"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system can do."""
    if request.param != "system call":
        monkeypatch.setattr(renames, "_system_call", lambda: None)
    if request.param == "neither":

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


@pytest.mark.usefixtures("without")
class TestRenameNew:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("below_handles", [False, True])
    def test_the_thing_itself_gets_the_new_name(self, tmp_path: Path, kind: str, below_handles: bool) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        KINDS[kind](tmp_path / "one" / "a")
        before = (tmp_path / "one" / "a").lstat()
        if below_handles:
            folders = [os.open(tmp_path / name, os.O_RDONLY) for name in ("one", "two")]
            rename_new("a", "b", *folders)
            for folder in folders:
                os.close(folder)
        else:
            rename_new(tmp_path / "one/a", tmp_path / "two/b")
        after = (tmp_path / "two" / "b").lstat()
        assert (after.st_ino, stat.S_IFMT(after.st_mode)) == (before.st_ino, stat.S_IFMT(before.st_mode))
        assert list((tmp_path / "one").iterdir()) == []

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("there", KINDS)
    def test_what_is_there_stays(self, tmp_path: Path, kind: str, there: str) -> None:
        KINDS[kind](tmp_path / "a")
        KINDS[there](tmp_path / "b")
        before = [(tmp_path / name).lstat().st_ino for name in "ab"]
        with pytest.raises(FileExistsError):
            rename_new(tmp_path / "a", tmp_path / "b")
        assert [(tmp_path / name).lstat().st_ino for name in "ab"] == before

    def test_what_is_missing_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "b").touch()
        for target in ("b", "c"):
            with pytest.raises(FileNotFoundError):
                rename_new(tmp_path / "a", tmp_path / target)

    def test_a_thing_is_not_renamed_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"content")
        with pytest.raises(FileExistsError):
            rename_new(tmp_path / "a", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("call", [True, False])
def test_two_names_of_one_file_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: bool) -> None:
    """A kill between the two steps of a rename by hard link leaves both."""
    if not call:
        monkeypatch.setattr(renames, "_system_call", lambda: None)
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    rename_new(tmp_path / "b", tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


def test_a_kill_at_every_step_leaves_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renames, "_system_call", lambda: None)
    there, back = tmp_path / "there", tmp_path / "back"
    steps = 0
    back.write_bytes(b"content")
    for steps in range(1, 10):
        if not die_before_step(steps, lambda: rename_new(back, there)):
            break
        assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"content"}
        if there.exists():
            rename_new(there, back)
        assert [path.name for path in tmp_path.iterdir()] == ["back"]
    assert steps == 4  # the event of the rename itself, the link, the removal; then nothing is left to kill
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


class TestExchange:
    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a call of Linux")
    def test_a_reader_finds_one_or_the_other_at_every_moment(self, tmp_path: Path) -> None:
        for name in "ab":
            (tmp_path / name).mkdir()
            (tmp_path / name / "content").write_text(name)
        found: set[str] = set()
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                found.add((tmp_path / "a" / "content").read_text())

        reader = threading.Thread(target=read)
        reader.start()
        swaps = sum(exchange(tmp_path / "a", tmp_path / "b") for _ in range(2001))
        stop.set()
        reader.join()
        assert swaps == 2001
        assert found <= {"a", "b"}
        assert (tmp_path / "a" / "content").read_text() == "b"

    def test_without_the_call_nothing_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renames, "_system_call", lambda: None)
        for name in "ab":
            (tmp_path / name).write_text(name)
        assert not exchange(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "a").read_text() == "a"

    @pytest.mark.parametrize(("code", "answer"), [(errno.ENOSYS, False), (errno.EINVAL, False), (0, True)])
    def test_a_file_system_that_cannot(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, answer: bool
    ) -> None:
        monkeypatch.setattr(renames, "_system_call", lambda: lambda *_: code)
        assert exchange(tmp_path / "a", tmp_path / "b") == answer

    def test_an_error_is_raised_as_one(self, tmp_path: Path) -> None:
        if renames._system_call() is None:
            pytest.skip("no such call here")
        with pytest.raises(FileNotFoundError):
            exchange(tmp_path / "a", tmp_path / "b")
