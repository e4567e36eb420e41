"""Undecided frames: few, spread in time, of different looks, and ready to train on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roadclear.data.dataset import load_folder
from roadclear.deploy.watch.events import State
from roadclear.deploy.watch.evidence import Answer
from roadclear.deploy.watch.keep import Keeper, is_undecided, look_of


def state(time: float, belief: float, p: float = 0.5, unsure: bool = False) -> State:
    return State(Answer(time, p, unsure, False), belief)


def picture(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)


def keeper(folder: Path, at_most: int) -> Keeper:
    return Keeper(folder, at_most, ("empty", "crossing"), "rtsp://camera.example/1", "stamp")


def offer(to: Keeper, time: float, shown: Image.Image, belief: float = 0.5) -> None:
    to.offer(state(time, belief), look_of(shown), shown)


@pytest.mark.parametrize(
    ("one", "says_on", "undecided"),
    [
        (state(0, 0.01), False, False),
        (state(0, 0.99), True, False),
        (state(0, 0.5), True, True),
        (state(0, 0.99), False, True),
        (state(0, 0.01), True, True),
        (state(0, 0.01, unsure=True), False, True),
    ],
)
def test_which_frames_are_undecided(one: State, says_on: bool, undecided: bool) -> None:
    assert is_undecided(one, says_on) is undecided


def test_at_most_so_many_are_kept_spread_in_time_and_without_near_copies(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 6)
    for k in range(300):
        offer(kept, k * 1.0, picture(k // 50), belief=0.6 if k % 2 else 0.4)
        assert kept.count <= 6
    files = sorted(tmp_path.glob("*/*.jpg"))
    times = sorted(float(file.stem.split("-")[1]) for file in files)
    assert len(files) == kept.count == 6
    assert sorted(int(time) // 50 for time in times) == [0, 1, 2, 3, 4, 5], "one of each look"


def test_near_copies_of_one_minute_are_one_frame(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 100)
    for k in range(40):
        offer(kept, k * 0.2, picture(0))
    assert kept.count == 1


def test_the_folder_can_be_trained_on_and_frames_of_twenty_seconds_are_one_scene(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 10)
    for k in range(8):
        offer(kept, k * 10.0, picture(k), belief=0.6 if k % 2 else 0.4)
    photos = load_folder(tmp_path).photos
    assert sorted(photo.label for photo in photos) == ["crossing"] * 4 + ["empty"] * 4
    assert len({photo.scene for photo in photos}) == 4
    assert "camera.example" in (tmp_path / "manifest.csv").read_text()


def test_an_earlier_watch_stays(tmp_path: Path) -> None:
    first = keeper(tmp_path, 3)
    offer(first, 1.0, picture(1))
    before = {file: file.read_bytes() for file in tmp_path.glob("*/*.jpg")}
    second = Keeper(tmp_path, 3, ("empty", "crossing"), "other", "later")
    for k in range(9):
        offer(second, k * 100.0, picture(k))
    assert all(file.read_bytes() == content for file, content in before.items())
    assert (tmp_path / "manifest.csv").read_text().count(".jpg") == 1 + 3


def test_pictures_of_a_file_are_filled_in_later(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 3)
    kept.offer(state(1.0, 0.5), look_of(picture(1)), None)
    assert kept.missing == {1.0}
    assert not list(tmp_path.glob("*/*.jpg"))
    kept.fill(1.0, picture(1))
    assert kept.missing == set()
    (file,) = tmp_path.glob("*/*.jpg")
    assert Image.open(file).size == (160, 120)


def test_both_labels_are_kept_alike(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 6)
    for k in range(60):
        offer(kept, k * 100.0, picture(k), belief=0.4 if k in (20, 21, 40) else 0.6)
    assert len(list(tmp_path.glob("empty/*.jpg"))) == len(list(tmp_path.glob("crossing/*.jpg"))) == 3


def test_sure_frames_fill_the_places_that_undecided_ones_leave(tmp_path: Path) -> None:
    kept = keeper(tmp_path, 6)
    for k in range(40):
        kept.offer(state(k * 5.0, 0.99 if k % 2 else 0.01), look_of(picture(k)), picture(k), sure=True)
    assert len(list(tmp_path.glob("empty/*.jpg"))) == len(list(tmp_path.glob("crossing/*.jpg"))) == 3
    for k in range(10):
        offer(kept, 300.0 + k * 40, picture(100 + k), belief=0.6 if k % 2 else 0.4)
    times = [float(file.stem.split("-")[1]) for file in tmp_path.glob("*/*.jpg")]
    assert len(times) == 6
    assert min(times) >= 300, "undecided frames come first"


def test_a_manifest_that_was_there_keeps_its_rows_and_columns(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,licence,label\ncrossing/a.jpg,CC0,crossing\n")
    offer(keeper(tmp_path, 3), 1.0, picture(1))
    header, old, new = (tmp_path / "manifest.csv").read_text().splitlines()
    assert header == "file,licence,label,scene,source_repo"
    assert old == "crossing/a.jpg,CC0,crossing,,"
    assert new.startswith("crossing/stamp-") and new.endswith("rtsp://camera.example/1")
