"""Output that cannot be written ends a command with one line and exit code 1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from folders import photo, write_folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full"),
]

START = "from roadclear.cli.app import main; main()"
COMMANDS = [
    "--version",
    "--help",
    "clean --help",
    "clean photos --dry-run",
    "clean photos --dry-run --json",
    "cache info",
]


def start(words: str, folder: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose streams go where the shell sends them."""
    environment = os.environ | {"ROADCLEAR_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["bash", "-c", f'"$0" -c "$1" {words} {redirection}', sys.executable, START]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "photos", {"crossing/a.png": photo(1), "crossing/cut.png": b"", "empty/b.png": photo(2)})
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk_behind_stdout(folder: Path, words: str) -> None:
    ended = start(words, folder, ">/dev/full")
    assert ended.returncode == 1
    assert ended.stderr.startswith("roadclear: cannot write the output: No space left on device; free space")
    assert ended.stderr.count("\n") == 1


def test_debugging_shows_where(folder: Path) -> None:
    ended = start("--debug cache info", folder, ">/dev/full")
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>/dev/full >/dev/full", ">&- 2>&-"])
def test_no_stream_at_all(folder: Path, redirection: str) -> None:
    ended = start("clean photos --dry-run", folder, redirection)
    assert (ended.returncode, ended.stderr) == (0 if "&-" in redirection else 1, "")


@pytest.mark.slow
def test_a_reader_that_leaves_early_needs_no_line(folder: Path) -> None:
    ended = start("clean photos --dry-run", folder, "| true")
    assert ended.stderr == ""
