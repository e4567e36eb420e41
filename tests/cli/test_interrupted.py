"""Ctrl-C says what is kept; narrow terminals and addresses are no trouble; predict counts its answers."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from process import QUICK, START, environment, roadclear

from roadclear.cli.app import KEPT
from roadclear.cli.commands import EXAMPLES
from roadclear.utils.text import restore_slashes

pytestmark = pytest.mark.slow

ASCII = {"PYTHONIOENCODING": "ascii"}


@pytest.mark.skipif(os.name != "posix", reason="interrupts a process")
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(drawn_photos, tmp_path / "photos")
    for number in range(60):
        shutil.copytree(drawn_photos / "empty", photos / f"more-{number}")
    command = [*START, "predict", str(trained_run), str(photos), "--format", "csv"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment({}), **pipes)  # type: ignore[call-overload]
    assert process.stdout.readline().startswith("file,answer")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == f"roadclear: stopped. {KEPT['predict']}"


@pytest.mark.skipif(os.name != "posix", reason="interrupts a process")
def test_ctrl_c_in_a_table_says_the_same(trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
    """A table is printed at the end, so nothing says when photos are at work but the first use of the engine."""
    photos = shutil.copytree(drawn_photos, tmp_path / "photos")
    for number in range(60):
        shutil.copytree(drawn_photos / "empty", photos / f"more-{number}")
    interrupt = (
        "import threading, os, signal; from roadclear.model.predictor import Model\n"
        "def stop(*_): os.kill(os.getpid(), signal.SIGINT); threading.Event().wait(1)\n"
        "Model.predict_many = stop\n"
    )
    command = [START[0], "-c", interrupt + START[-1], "predict", str(trained_run), str(photos)]
    ended = subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == f"roadclear: stopped. {KEPT['predict']}"


def test_every_command_that_takes_long_has_its_sentence() -> None:
    """The demonstration and `collect` have sentences of their own."""
    assert {*EXAMPLES} - {"demo", "collect"} <= {*KEPT}
    assert all(sentence.endswith(".") and "Traceback" not in sentence for sentence in KEPT.values())


class TestCounts:
    def test_a_table_ends_with_the_answers(self, trained_run: Path, drawn_photos: Path) -> None:
        ended = roadclear("predict", trained_run, drawn_photos)
        assert (ended.code, ended.err) == (0, "")
        last, promise = ended.out.decode().splitlines()[-2:]
        assert last.startswith("48 photos: ")
        assert promise.startswith("At most ")
        counts = last.removeprefix("48 photos: ").split(".")[0]
        assert sum(int(part.split()[0]) for part in counts.split(", ")) == 48

    @pytest.mark.slow
    def test_unreadable_photos_are_counted_and_one_photo_is_not(
        self, trained_run: Path, drawn_photos: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "broken.jpg").write_bytes(b"")
        photo = drawn_photos / "empty/empty-000.jpg"
        ended = roadclear("predict", trained_run, photo, tmp_path / "broken.jpg")
        assert "2 photos: " in ended.out.decode() and "1 could not be read." in ended.out.decode()
        assert "photo:" not in roadclear("predict", trained_run, photo).out.decode()

    def test_rows_for_programs_have_none(self, trained_run: Path, drawn_photos: Path) -> None:
        ended = roadclear("predict", trained_run, drawn_photos, "--format", "csv")
        assert (len(ended.out.splitlines()), ended.err) == (49, "")


@pytest.mark.slow
def test_labels_beyond_ascii_are_escaped_on_an_ascii_terminal(drawn_photos: Path, tmp_path: Path) -> None:
    for label, new in (("crossing", "横断"), ("empty", "leer")):
        shutil.copytree(drawn_photos / label, tmp_path / "photos" / new)
    options = [*QUICK[:-1], "横断"]
    ended = roadclear("train", tmp_path / "photos", "--out", tmp_path / "run", *options, env=ASCII)
    assert (ended.code, ended.err) == (0, "")
    assert r"Positive class: \u6a2a\u65ad. Negative class: leer." in ended.out.decode("ascii")


def test_addresses_keep_their_slashes() -> None:
    assert restore_slashes("at 'https:/a.example/x'") == "at 'https://a.example/x'"
    assert restore_slashes("http://a.example and /b:/c") == "http://a.example and /b:/c"
    assert "'https://a.example/photos'" in roadclear("train", "https://a.example/photos").error()
