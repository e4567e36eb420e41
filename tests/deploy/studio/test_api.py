"""The studio as a process, asked over HTTP: changes are on disk, kills lose nothing, other pages are kept out."""

import json
import os
import shlex
import shutil
import socket
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process import roadclear
from scenes import draw_scene, write_scenes
from studios import SMALL, RunningStudio, running_studio, wait_for

from roadclear.curation.journal import read_journal

pytest.importorskip("fastapi", reason="needs the extra serve: pip install 'roadclear[serve]'")
pytestmark = pytest.mark.slow

MARKUP = '<img src=x onerror="document.title=1">.jpg'


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("studio") / "photos", per_label=24)


@pytest.fixture(scope="module")
def studio(photos: Path) -> Iterator[RunningStudio]:
    with running_studio(photos, *SMALL, cwd=photos.parent) as running:
        running.numbers(1)
        yield running


def scene(seed: int, tmp_path: Path) -> bytes:
    path = tmp_path / "scene.jpg"
    draw_scene(seed, figure=False).save(path, quality=90)
    return path.read_bytes()


def on_disk(folder: Path) -> dict[str, bytes]:
    """Every file but tables and locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix == ".jpg")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def events(studio: RunningStudio, count: int, seen: list[str]) -> None:
    """Read the stream of events, and note their kinds."""
    host, port = studio.address.removeprefix("http://").strip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        for line in connection.makefile():
            if line.startswith("event: "):
                seen.append(line.removeprefix("event: ").strip())
            if len(seen) >= count:
                return


def test_a_change_is_on_disk_and_the_numbers_follow(studio: RunningStudio, photos: Path) -> None:
    before, numbers = on_disk(photos), studio.ask("api/numbers")
    assert numbers["photos"] == 48
    assert set(numbers["labels"].values()) == {"crossing", "empty"}
    low, high = numbers["accuracy"]["interval"]
    assert low <= numbers["accuracy"]["value"] <= high
    assert sum(sum(row.values()) for row in numbers["confusion"].values()) == 48
    names = studio.photos()
    wanted = [names[f"crossing/crossing-{number:03d}.jpg"] for number in range(5)]
    done = studio.ask("api/move", {"photos": wanted, "label": "empty"})
    assert len(done["changed"]) == 5 and done["left"] == []
    assert {move.place for move in read_journal(photos)} == {f"empty/crossing-{n:03d}.jpg" for n in range(5)}
    after = studio.numbers(done["version"])
    assert after["change"]["photos"] == 48 and after["before"] == numbers["accuracy"]["value"]
    assert {label: part["photos"] for label, part in after["advice"]["labels"].items()} == {"crossing": 19, "empty": 29}
    undone = studio.ask("api/undo", {})
    assert len(undone["changed"]) == 5 and on_disk(photos) == before
    assert studio.numbers(undone["version"])["accuracy"]["value"] == pytest.approx(numbers["accuracy"]["value"])


def test_two_pages_hear_of_every_change(studio: RunningStudio) -> None:
    heard: list[list[str]] = [[], []]
    readers = [threading.Thread(target=events, args=(studio, 12, seen), daemon=True) for seen in heard]
    for reader in readers:
        reader.start()
    wait_for(lambda: all("numbers" in seen for seen in heard))
    known = [len(seen) for seen in heard]
    photo = next(iter(studio.photos().values()))
    studio.ask("api/set-aside", {"photos": [photo]})
    wait_for(lambda: all({"photos", "numbers"} <= set(seen[n:]) for seen, n in zip(heard, known, strict=True)))
    gone = studio.ask("api/move", {"photos": [photo], "label": "empty"})
    assert gone["gone"] == 1 and gone["changed"] == [], "the second page was late"
    studio.numbers(studio.ask("api/undo", {})["version"])


def test_maps_pictures_and_answers(studio: RunningStudio, photos: Path) -> None:
    name = studio.photos()["empty/empty-003.jpg"]
    found = wait_for(lambda: json.loads(body) if (body := studio.raw(f"api/maps/{name}")[1]) else None)
    assert len(found["heatmap"]) == len(found["heatmap"][0]) == 3 and found["limit"] > 0
    status, picture, headers = studio.raw(f"api/pictures/{name}?size=large")
    assert status == 200 and picture[:2] == b"\xff\xd8" and headers["Content-Type"] == "image/jpeg"
    assert studio.raw("api/pictures/nothing")[0] == 404
    data = (photos / "empty/empty-003.jpg").read_bytes()
    answer = studio.ask("api/try", data)
    total = sum(map(sum, answer["map"]["heatmap"])) + answer["offset"]
    assert total == pytest.approx(answer["logit"], abs=1e-3)
    assert studio.ask("api/try", data)["probability"] == answer["probability"]
    assert studio.raw("api/try", b"no photo")[0] == 422


def test_photos_change_under_the_feet_of_the_studio(studio: RunningStudio, photos: Path, tmp_path: Path) -> None:
    names = studio.photos()
    (photos / "crossing/crossing-020.jpg").unlink()
    done = studio.ask("api/move", {"photos": [names["crossing/crossing-020.jpg"]], "label": "empty"})
    assert done["changed"] == [] and (done["left"] or done["gone"])
    (photos / "empty/another.jpg").write_bytes(scene(900, tmp_path))
    (photos / "empty/broken.jpg").write_bytes(b"\xff\xd8 no photo")
    wait_for(lambda: {"empty/another.jpg", "empty/broken.jpg"} <= studio.photos().keys())
    tasks = wait_for(lambda: [t for t in studio.ask("api/tasks") if t["name"] == "empty/broken.jpg"])
    assert tasks[0]["reason"] == "unreadable" and tasks[0]["detail"]
    version = studio.ask("api/set-aside", {"photos": [tasks[0]["id"]]})["version"]
    assert studio.numbers(version)["photos"] == 48
    assert not [task for task in studio.ask("api/tasks") if task["name"] == "empty/broken.jpg"]


def test_names_with_markup_stay_names(studio: RunningStudio, photos: Path, tmp_path: Path) -> None:
    (photos / "empty" / MARKUP).write_bytes(scene(901, tmp_path))
    odd = os.fsencode(photos / "empty") + b"/odd \xff\n.jpg"
    Path(os.fsdecode(odd)).write_bytes(scene(902, tmp_path))
    names = wait_for(lambda: found if f"empty/{MARKUP}" in (found := studio.photos()) else None)
    printed = next(name for name in names if "odd" in name)
    done = studio.ask("api/move", {"photos": [names[f"empty/{MARKUP}"], names[printed]], "label": "crossing"})
    assert len(done["changed"]) == 2 and (photos / "crossing" / MARKUP).is_file()
    assert len(studio.ask("api/undo", {})["changed"]) == 2 and Path(os.fsdecode(odd)).is_file()
    for path in (odd, os.fsencode(photos / "empty" / MARKUP)):
        Path(os.fsdecode(path)).unlink()
    wait_for(lambda: printed not in studio.photos())


def test_files_archives_and_frames_are_added(studio: RunningStudio, photos: Path, tmp_path: Path) -> None:
    data = scene(903, tmp_path)
    assert studio.add("empty", "../../odd/../new.jpg", data, "one") == {"added": 1, "known": 0}
    assert (photos / "empty/new.jpg").read_bytes() == data
    assert studio.add("crossing", "again.jpg", data, "one") == {"added": 0, "known": 1}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"folder/{number}.jpg", scene(910 + number, tmp_path))
        archive.writestr("__MACOSX/x", b"")
    packed = (tmp_path / "a.zip").read_bytes()
    assert studio.ask("api/archives?label=crossing&step=one", packed) == {"added": 3, "known": 0}
    frames = [data, scene(904, tmp_path), scene(904, tmp_path)]
    verdicts = [studio.ask("api/frames?label=empty&step=camera", frame)["verdict"] for frame in frames]
    assert verdicts == ["equal", "kept", "equal"], "the first one is there already"
    for path in ("api/photos?label=other&name=a", "api/archives?label=other", "api/frames?label=other&step=a"):
        assert studio.raw(path, data)[0] == 404
    assert studio.raw("api/archives?label=empty", b"no archive")[0] == 409
    assert studio.raw("api/photos?label=empty&name=a.jpg", b"")[0] == 422
    wait_for(lambda: len([name for name in studio.photos() if "camera" in name]) == 1)
    assert len(studio.ask("api/undo", {})["changed"]) == 1, "the frame"
    assert len(studio.ask("api/undo", {})["changed"]) == 4, "the drop of a file and an archive"
    assert not (photos / "empty/new.jpg").exists()


def test_unlabelled_photos_are_ranked_mapped_and_labelled(studio: RunningStudio, photos: Path, tmp_path: Path) -> None:
    beside = photos.with_name("photos-unlabelled")
    numbers = studio.ask("api/numbers")
    assert studio.add("", "road.jpg", scene(920, tmp_path), "drop") == {"added": 1, "known": 0}
    for number in range(3):
        (beside / f"{number}.jpg").write_bytes(scene(921 + number, tmp_path))
    (beside / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    found = wait_for(
        lambda: those if len(those := [t for t in studio.ask("api/tasks") if not t["label"]]) == 5 else None
    )
    assert [task["reason"] for task in found] == ["unreadable"] + 4 * ["label-next"]
    certain = [abs(task["probability"] - 0.5) for task in found[1:]]
    assert certain == sorted(certain), "the least certain one comes first"
    assert {task["suggested"] for task in found[1:]} <= {"crossing", "empty"}
    first = found[1]
    assert len(studio.ask(f"api/maps/{first['id']}")["heatmap"]) == 3
    after = studio.numbers(studio.ask("api/photos")["version"])
    assert after["photos"] == numbers["photos"] and after["change"] == numbers["change"], "nothing was trained"
    done = studio.ask("api/move", {"photos": [first["id"]], "label": first["suggested"]})
    assert (photos / first["suggested"] / first["name"]).is_file() and len(done["changed"]) == 1
    assert studio.numbers(done["version"])["photos"] == numbers["photos"] + 1
    assert studio.ask("api/set-aside", {"photos": [found[0]["id"]]})["left"] == []
    for _ in range(3):
        studio.ask("api/undo", {})
    shutil.rmtree(beside)
    wait_for(lambda: not [task for task in studio.ask("api/tasks") if not task["label"]])


def test_other_pages_are_kept_out(studio: RunningStudio) -> None:
    photo = next(iter(studio.photos().values()))
    own = studio.address.strip("/")
    for headers, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": own}, 403),
    ):
        assert studio.raw("api/keep", {"photo": photo, "reason": "unsure"}, headers)[0] == status, headers
    assert studio.raw("api/keep", {"photo": photo, "reason": "unsure"}, {"Origin": own})[0] == 200
    assert studio.raw("api/photos", None, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert studio.raw("", None, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200
    assert studio.raw("api/keep", b"photo=1", {"Content-Type": "text/plain"})[0] == 422
    for path in ("", "main.js", "api/photos"):
        policy = studio.raw(path)[2]["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy
    for path in ("app.py", "..%2fapp.py", "index.html.bak"):
        assert studio.raw(path)[0] == 404


def test_the_exported_run_has_the_bytes_of_the_command(studio: RunningStudio, photos: Path) -> None:
    runs = photos.parent / "runs"
    studio.ask("api/export", {})
    (folder,) = wait_for(lambda: [path for path in runs.glob("[!.]*") if (path / "report.html").is_file()])
    command = studio.ask("api/photos")["command"]
    ended = roadclear(*shlex.split(command)[1:], "--out", runs / "again", "--quiet", cwd=photos.parent)
    assert ended.code == 0, ended.error()
    for name in ("model.onnx", "splits.csv", "predictions.csv", "history.csv", "config.toml"):
        assert (folder / name).read_bytes() == (runs / "again" / name).read_bytes(), name


def test_a_second_studio_is_refused_in_a_sentence(studio: RunningStudio, photos: Path) -> None:
    ended = roadclear("studio", photos, "--no-browser")
    assert ended.code == 1
    assert ended.error().endswith("a studio is open on '" + str(photos) + "' already: use its page, or end it first")
    port = urllib.parse.urlsplit(studio.address).port
    taken = roadclear("studio", photos.parent / "other", "--no-browser", "--port", str(port), *SMALL)
    assert taken.code == 1 and f"cannot use port {port}" in taken.error()


def test_an_empty_start_says_what_is_missing_and_takes_other_labels(tmp_path: Path) -> None:
    with running_studio(*SMALL, cwd=tmp_path) as studio:
        (folder,) = tmp_path.iterdir()
        assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["crossing", "empty"]
        assert "expected" in studio.numbers(1)["problem"]
        studio.ask("api/labels", {"labels": ["dog", " cat "]})
        assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["cat", "dog"]
        assert studio.raw("api/labels", {"labels": ["a/b", "cat"]})[0] == 422
        assert studio.ask("api/photos")["labels"] == ["cat", "dog"]
        shutil.rmtree(folder / "dog")
        assert studio.add("dog", "a.jpg", b"x")["added"] == 1, "a folder that went is made again"


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "photos", per_label=10)
    before = sorted(on_disk(folder).values())
    with running_studio(folder, *SMALL) as studio:
        names = list(studio.photos().values())

        def move() -> None:
            for label in ("empty", "crossing") * 50:
                studio.ask("api/move", {"photos": names, "label": label})

        threads = [threading.Thread(target=quietly, args=(move,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(read_journal_or_none(folder) or ()) >= 5)
        studio.kill()
        for thread in threads:
            thread.join()
    assert sorted(on_disk(folder).values()) == before, "every photo is there once"
    with running_studio(folder, *SMALL) as studio:
        state = studio.ask("api/photos")
        assert len(state["photos"]) == 20 and state["undo"] == len(read_journal(folder))
        while studio.ask("api/undo", {})["changed"]:
            pass
    assert sorted(on_disk(folder)) == sorted(on_disk(write_scenes(tmp_path / "again", per_label=10)))


def quietly(action: Any) -> None:
    """Run a function until the server goes away under it."""
    try:
        action()
    except (OSError, ValueError):
        return


def read_journal_or_none(folder: Path) -> list[Any] | None:
    try:
        return list(read_journal(folder))
    except Exception:  # it is being replaced
        return None
