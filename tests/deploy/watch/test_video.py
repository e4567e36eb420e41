"""Videos of every kind: formats, variable rates, damage, and what is decoded of them."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import CROSSING, EMPTY, write_video
from PIL import Image

from roadclear.deploy.watch import video
from roadclear.deploy.watch.frames import Frame
from roadclear.deploy.watch.source import find_source
from roadclear.deploy.watch.stored import stored_frames
from roadclear.errors import DatasetError, EngineError


def read(path: Path, every: float = 0.2) -> tuple[list[Frame], int]:
    frames, broken = stored_frames(find_source(str(path)), every)
    return list(frames), broken()


def steady(seconds: float, rate: float = 25) -> list[tuple[float, Image.Image]]:
    return [(k / rate, CROSSING if k % 2 else EMPTY) for k in range(int(seconds * rate))]


@pytest.mark.parametrize(
    ("codec", "name"),
    [("libx264", "a.mp4"), ("libx264", "a.mkv"), ("libx264", "a.ts"), ("mpeg4", "a.avi"), ("mjpeg", "a.avi")],
)
def test_formats_give_the_same_times(tmp_path: Path, codec: str, name: str) -> None:
    frames, broken = read(write_video(tmp_path / name, steady(3), codec))
    assert broken == 0
    # Frames to which no other refers are skipped, so a step may be late by the distance of the others.
    assert len(frames) == 15
    assert all(-0.005 < frame.time - 0.2 * k < 0.17 for k, frame in enumerate(frames))
    difference = np.abs(np.asarray(frames[0].picture(), float) - np.asarray(EMPTY, float))
    assert difference.mean() < 12


def test_a_variable_rate_stays_on_the_grid(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.54, 2.0, 2.1, 2.2, 2.3, 5.0]
    path = write_video(tmp_path / "variable.mkv", [(time, EMPTY) for time in times], "mjpeg")
    frames, _ = read(path)
    assert [frame.time for frame in frames] == [0.0, 0.5, 2.0, 2.2, 5.0]


def test_a_clip_that_does_not_start_at_zero_counts_from_its_first_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", [(100 + time, picture) for time, picture in steady(1)], "mjpeg")
    assert [frame.time for frame in read(path)[0]] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])


def test_a_step_as_long_as_the_distance_of_key_frames_decodes_nothing_else(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", steady(20), key_frames=25)
    source = find_source(str(path))
    for every, skips in ((0.04, "DEFAULT"), (0.2, "NONREF"), (2.0, "NONKEY")):
        opened = video.VideoFile(source, every)
        assert opened._stream.codec_context.skip_frame == skips
        times = [frame.time for frame in opened.frames()]
        assert len(times) == pytest.approx(20 / every, abs=1)
        assert np.diff(times).max() <= 2 * every


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_broken_packets_are_counted_and_passed_over(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "clip.avi", steady(4), codec)
    data, damage = bytearray(path.read_bytes()), random.Random(0)
    for _ in range(40):
        place = damage.randrange(len(data) // 4, len(data) - 4000)
        data[place : place + 30] = damage.randbytes(30)
    path.write_bytes(data)
    frames, broken = read(path, 0.04)
    assert broken > 0
    assert 20 < len(frames) < 100
    assert [frame.time for frame in frames] == sorted({frame.time for frame in frames})


def test_a_video_that_ends_too_early_gives_what_is_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", steady(4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 3 < len(read(path)[0]) < 20


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.mp4", b"no video" * 100), ("empty.mp4", b""), ("noise.avi", random.Random(1).randbytes(9999))],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read as a video"):
        read(tmp_path / name)


def test_a_file_opens_no_other_file(tmp_path: Path) -> None:
    """A playlist is a file that names others: FFmpeg would open them."""
    write_video(tmp_path / "other.ts", steady(1))
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(DatasetError):
        read(tmp_path / "list.m3u8")


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "clip.mp4", steady(1))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(EngineError, match=r"needs the extra watch: run `pip install 'roadclear\[watch\]'`"):
        read(path)


HOSTILE = """
import random, sys
from pathlib import Path
from roadclear.deploy.watch.stored import stored_frames
from roadclear.deploy.watch.source import find_source
from roadclear.errors import RoadclearError

folder, seen = Path(sys.argv[1]), 0
for path in sorted(folder.glob("whole.*")):
    whole = path.read_bytes()
    for seed in range(25):
        draw, data = random.Random(seed), bytearray(whole)
        if seed % 2:
            data = data[: draw.randrange(1, len(data))]
        for _ in range(draw.choice((0, 1, 20, 300))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        damaged = folder / f"damaged{path.suffix}"
        damaged.write_bytes(data)
        try:
            for frame in stored_frames(find_source(str(damaged)), 0.2)[0]:
                try:
                    frame.picture()
                    seen += 1
                except RoadclearError:
                    pass
        except RoadclearError:
            pass
print("survived", seen)
"""


@pytest.mark.slow
def test_damaged_videos_never_end_the_process(tmp_path: Path) -> None:
    """In a process of its own: a fault of a decoder would end it without an exception."""
    for codec, suffix in (("libx264", "mp4"), ("libx264", "ts"), ("mpeg4", "avi"), ("mjpeg", "mkv")):
        write_video(tmp_path / f"whole.{suffix}", steady(1.5), codec)
    ended = subprocess.run([sys.executable, "-c", HOSTILE, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.startswith("survived")
    assert int(ended.stdout.split()[1]) > 50
