"""One process at a time: others are refused, a killed one locks nobody out, and no file stays."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from folders import drop_privileges, run_forked
from locking import ROUNDS, work

from roadclear.errors import OutputError
from roadclear.utils.locks import LOCK, folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from roadclear.utils.locks import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_the_lock_file_is_there_only_while_the_lock_is_held(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert list(tmp_path.iterdir()) == []


def test_an_error_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    got = threading.Event()

    def wait() -> None:
        with folder_lock(tmp_path, wait=True):
            got.set()

    waiter = threading.Thread(target=wait)
    with folder_lock(tmp_path):
        waiter.start()
        assert not got.wait(0.1)
    assert got.wait(30)
    waiter.join()
    assert list(tmp_path.iterdir()) == []


def test_a_second_holder_is_refused_also_in_the_same_process(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        refused = pytest.raises(
            OutputError, match=r"another roadclear command is at work in '.*': wait until it is done"
        )
        with refused, folder_lock(tmp_path):
            raise AssertionError("two at a time")
        assert (tmp_path / LOCK).exists()


def test_a_killed_process_leaves_a_file_and_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        with pytest.raises(OutputError, match="at work"), folder_lock(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).exists()
    with folder_lock(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


@pytest.mark.slow
def test_of_many_processes_there_is_never_more_than_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    processes = [context.Process(target=work, args=(tmp_path, results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [(ROUNDS, 0)] * 3
    for process in processes:
        process.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no open file")
def test_a_lock_file_that_is_removed_between_opening_and_locking_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder removed it in between. A third process would lock a new file under the same name."""
    import fcntl

    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        (tmp_path / LOCK).unlink(missing_ok=True)
        flock(descriptor, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", late)
        with pytest.raises(OutputError, match="at work"), folder_lock(tmp_path):
            raise AssertionError("held a file without a name")
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("there", ["link", "folder"])
def test_a_lock_file_that_is_something_else_is_left_alone(tmp_path: Path, there: str) -> None:
    if there == "link":
        (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    else:
        (tmp_path / LOCK).mkdir()
    with pytest.raises(OutputError, match=r"cannot write in '.*': .*; nothing was moved"), folder_lock(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "photos").mkdir(mode=0o555)

    def lock() -> None:
        drop_privileges()
        with folder_lock(tmp_path / "photos"):
            pass

    _, said = run_forked(lock)
    assert "Permission denied; nothing was moved: make the folder writable" in said
