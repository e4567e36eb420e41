"""`roadclear watch` as a process: files, order of arguments, what is refused, and a live watch that is ended."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cameras import host, jpeg_stream
from clips import CROSSING, EMPTY, crossing_clip, model_of_scenes
from process import START, environment, roadclear

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(model_of_scenes())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crossing_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def events(out: Path) -> list[dict[str, str]]:
    with (out / "events.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def test_a_file_gives_json_lines_and_tables(model: Path, clip: Path, tmp_path: Path) -> None:
    ended = roadclear("watch", model, clip, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [line["type"] for line in lines] == ["start", "end"]
    assert "1 event of crossing in 20.0 s" in ended.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "events.csv",
        "events.jsonl",
        "frames.csv",
        "index.html",
    ]
    assert len(events(tmp_path / "out")) == 1
    again = roadclear("watch", model, clip, "--out", tmp_path / "out")
    assert again.code == 1
    assert "choose another name, or add --overwrite" in again.error()
    assert roadclear("watch", model, clip, "--out", tmp_path / "out", "--overwrite", "-q").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.mp4"], 1, "found nothing at 'nowhere.mp4'"),
        (["clip.mp4", "other.mp4"], 2, "expected a run or a model first"),
        (["stock"], 2, "expected a source after the model"),
        (["stock", "clip.mp4", "--zone", "0,0 1,1"], 2, "3 to 1,000 points"),
        (["stock", "clip.mp4", "--annotate", "a.gif"], 2, "--annotate must end in"),
        (["stock", "clip.mp4", "--every", "0"], 2, "every must be"),
        (
            ["stock", "rtsp://me:secret@127.0.0.1:1/x", "--patience", "1", "--timeout", "0.5"],
            1,
            "gave no frame for 1 s",
        ),
        (["stock", "rtsp://me:secret@/x"], 2, "without a host"),
    ],
)
def test_mistakes_end_with_one_line_and_no_password(
    words: list[str], code: int, message: str, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    ended = roadclear("watch", "-q", *words, cwd=tmp_path)
    assert ended.code == code, ended.err
    assert message in ended.err
    assert "secret" not in ended.err + ended.out.decode()
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [*START, *map(str, arguments)]
    return subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_event(out: Path, seconds: float = 60.0) -> None:
    """Wait for an event that lasts for three seconds and has not ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (out / "events.csv").is_file():
            rows = events(out)
            if rows and rows[-1]["ended"] == "no" and float(rows[-1]["duration"]) > 3:
                return
        time.sleep(0.1)
    pytest.fail("expected an event that goes on")


def crossing_camera(k: int):  # type: ignore[no-untyped-def]
    return EMPTY if k < 20 else CROSSING


def test_a_kill_loses_at_most_two_seconds_of_an_event(model: Path, tmp_path: Path) -> None:
    with host(jpeg_stream(crossing_camera)) as port:
        process = start("watch", model, f"http://me:secret@127.0.0.1:{port}/x", "--out", tmp_path / "out")
        wait_for_event(tmp_path / "out")
        time.sleep(2)
        killed = time.time()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (row,) = events(tmp_path / "out")
    from datetime import datetime

    began = datetime.fromisoformat(row["clock"]).timestamp()
    assert killed - (began + float(row["duration"])) < 2.5, "two seconds, and what this machine takes to be killed"
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_live_watch_ends_cleanly(name: str, model: Path, tmp_path: Path) -> None:
    with host(jpeg_stream(crossing_camera)) as port:
        process = start("watch", model, f"http://127.0.0.1:{port}/x", "--out", tmp_path / "out", "-q")
        wait_for_event(tmp_path / "out")
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 3), err
    assert b"Traceback" not in err
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["start", "end"]
    (row,) = events(tmp_path / "out")
    assert row["ended"] == "yes"
    assert "1 event of crossing" in (tmp_path / "out" / "index.html").read_text()
