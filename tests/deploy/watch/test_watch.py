"""A whole watch of a file: events, tables, page, kept frames and annotated video; flat memory for long footage."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from clips import CROSSING, EMPTY, crossing_clip, model_of_scenes
from PIL import Image

from roadclear.deploy.watch.annotate import check_name
from roadclear.deploy.watch.decide import Decider
from roadclear.deploy.watch.events import State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.settings import EventSettings, FrameSettings
from roadclear.deploy.watch.source import find_source
from roadclear.deploy.watch.timeline import MOST_BINS, Summary
from roadclear.deploy.watch.watch import Keep, WatchJob, WatchResult, watch
from roadclear.deploy.watch.zone import read_zone
from roadclear.errors import DatasetError, OptionError
from roadclear.model.predictor import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(model_of_scenes())


def run(model: Model, job: WatchJob) -> tuple[WatchResult, list[dict[str, str]]]:
    told: list[str] = []
    job.out.mkdir()
    result = watch(model, job, told.append, told.append)
    assert [json.loads(line)["type"] for line in told] == ["start", "end"] * result.events
    with (job.out / "events.csv").open(newline="") as table:
        return result, list(csv.DictReader(table))


def test_the_event_of_a_clip_is_found_to_the_step(model: Model, tmp_path: Path) -> None:
    source = find_source(str(crossing_clip(tmp_path / "clip.mp4")))
    result, (event,) = run(model, WatchJob(source=source, out=tmp_path / "out"))
    assert (float(event["start"]), float(event["end"])) == (pytest.approx(6, abs=0.25), pytest.approx(12, abs=0.25))
    assert (result.events, result.frames, result.broken) == (1, 100, 0)
    assert result.seconds == pytest.approx(20, abs=0.3)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "1 event of crossing" in page
    assert page.count("data:image/jpeg") == 1
    with (tmp_path / "out" / "frames.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 100
    assert {row["state"] for row in rows if 7 < float(row["time"]) < 11} == {"crossing"}


def test_a_folder_of_frames_is_watched_alike_and_a_broken_frame_is_counted(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(80):
        (CROSSING if 30 <= k < 50 else EMPTY).save(folder / f"{k}.png")
    (folder / "40.png").write_bytes(b"broken")
    result, (event,) = run(model, WatchJob(source=find_source(str(folder)), out=tmp_path / "out"))
    assert (float(event["start"]), float(event["end"])) == (pytest.approx(6, abs=0.3), pytest.approx(10, abs=0.3))
    assert (result.frames, result.broken) == (79, 1)


def test_probabilities_are_those_of_predict(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k, picture in enumerate((EMPTY, CROSSING)):
        picture.save(folder / f"{k}.png")
    run(model, WatchJob(source=find_source(str(folder)), out=tmp_path / "out"))
    with (tmp_path / "out" / "frames.csv").open(newline="") as table:
        told = [float(row["probability"]) for row in csv.DictReader(table)]
    assert told == pytest.approx([model.predict(folder / f"{k}.png").probability for k in (0, 1)], abs=1e-4)


def test_what_happens_outside_the_zone_is_no_event(model: Model, tmp_path: Path) -> None:
    clip = crossing_clip(tmp_path / "clip.mp4")
    covered = Image.new("RGB", EMPTY.size)
    covered.paste(CROSSING.crop((0, 0, 80, 120)), (0, 0))
    zone = read_zone("0.9,0.0 1,0 1,0.1 0.9,0.1")
    job = WatchJob(source=find_source(str(clip)), out=tmp_path / "out", zone=zone, events=EventSettings(levels="model"))
    job.out.mkdir()
    with_zone = watch(model, job, print, print)
    assert with_zone.events in (0, 1)
    assert with_zone.event_seconds in (0.0, pytest.approx(with_zone.seconds)), "the corner never changes"


def test_undecided_frames_and_the_annotated_video_come_from_a_second_reading(model: Model, tmp_path: Path) -> None:
    source = find_source(str(crossing_clip(tmp_path / "clip.mp4")))
    unsure = Model(model_of_scenes(band=(0.0, 1.0)))
    zone = read_zone("0,0 1,0 1,1 0,1")
    job = WatchJob(
        source=source,
        out=tmp_path / "out",
        zone=zone,
        keep=Keep(tmp_path / "kept", 4),
        annotate=tmp_path / "video" / "drawn.mp4",
    )
    result, _ = run(unsure, job)
    files = sorted((tmp_path / "kept").glob("*/*.jpg"))
    assert result.kept == len(files) > 0
    assert {Image.open(file).size for file in files} == {(160, 120)}
    with av.open(str(tmp_path / "video" / "drawn.mp4")) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == result.frames
    assert frames[-1].time == pytest.approx(result.seconds - 0.2, abs=0.1)
    bars = [frame.to_image().resize((160, 120)).getpixel((150, 3)) for frame in frames]
    red = [k for k, (r, _, b) in enumerate(bars) if r > b]
    assert red == list(range(30, 60)), "the bar is vermilion in the event alone"


def test_a_source_without_a_frame_that_can_be_used_is_an_error(model: Model, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a.jpg").write_bytes(b"no picture")
    job = WatchJob(source=find_source(str(tmp_path / "frames")), out=tmp_path / "out")
    job.out.mkdir()
    with pytest.raises(DatasetError, match="no frame that can be used"):
        watch(model, job, print, print)


def test_the_name_of_the_annotated_video_says_its_format() -> None:
    check_name(Path("a.mp4"))
    with pytest.raises(OptionError, match=r"--annotate must end in .mp4"):
        check_name(Path("a.gif"))


def two_days(decider: Decider) -> int:
    """Feed two days of one frame in five seconds, and return the largest number of frames that waited."""
    waiting = most = 0
    for second in range(0, 2 * 86_400, 5):
        p = 0.95 if second % 600 < 20 else 0.05
        waiting += 1
        waiting -= sum(1 for _ in decider.add(Answer(float(second), p, False, False)))
        most = max(most, waiting)
    return most


@pytest.mark.slow
def test_memory_is_flat_for_days() -> None:
    assert two_days(Decider(EventSettings(), 0.5, live=False, every=5.0)) <= 200
    summary = Summary(1.0, datetime(2026, 6, 1, 6, 30, tzinfo=UTC))
    for second in range(0, 2 * 86_400, 5):
        summary.add(State(Answer(float(second), 0.5, False, False), 0.9), b"")
    assert len(summary.timeline.bins) <= MOST_BINS
    assert sum(one.frames for one in summary.timeline.bins.values()) == summary.frames == 34_560
    assert len(summary.hours) == 49, "two days from half past six touch 49 hours of the clock"
    assert summary.hour_name(1) == "2026-06-01 07:00"
    assert sorted(summary.profile()) == list(range(24))


def test_settings_have_ranges() -> None:
    for wrong in ({"every": 0.0}, {"timeout": -1.0}, {"patience": -1.0}):
        with pytest.raises(OptionError):
            FrameSettings(**wrong)
    with pytest.raises(OptionError, match="one of camera, model"):
        EventSettings(levels="other")
