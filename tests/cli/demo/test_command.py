"""`roadclear demo`, as processes of their own, which die if they ask for a socket."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import no_sockets
import pytest
from folders import tree
from process import START, Argument, Ended, environment, roadclear, run

pytestmark = pytest.mark.slow

# Several processes draw the scenes. Where one of them dies, the demo ends with an error.
GUARD = (sys.executable, no_sockets.__file__, no_sockets.WITH_PROCESSES) if no_sockets.supported() else ()


def demo(*arguments: Argument, **settings: object) -> Ended:
    return run([*GUARD, *START, "demo", "--no-open", *arguments], **settings)  # type: ignore[arg-type]


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Ended:
    """A demo that Ctrl-C stopped while it drew."""
    command = [*START, "demo", "--count", "5000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment({}), **pipes) as process:  # type: ignore[call-overload]
        while not (folder / "roadclear-demo" / "photos" / "empty").is_dir() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err.decode())


@pytest.fixture(scope="module")
def finished(stopped: Ended, folder: Path) -> Ended:
    """A demo in the folder of the stopped one."""
    return demo("--count", "60", "--seed", "1", cwd=folder)


@pytest.fixture(scope="module")
def out(finished: Ended, folder: Path) -> Path:
    return folder / "roadclear-demo"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_ends_it_in_one_line(stopped: Ended) -> None:
    assert stopped.code == 130
    assert stopped.err.splitlines() == ["", "Stopped. Run the same command to begin again in roadclear-demo."]


class TestFinished:
    def test_it_ends_well(self, finished: Ended) -> None:
        assert (finished.code, finished.err) == (0, "Heatmaps: roadclear-demo/heatmaps\n")

    def test_everything_promised_is_there(self, out: Path) -> None:
        made = {path.name for path in out.iterdir()}
        assert made == {
            *("photos", "planted.csv", "triage", "decisions.csv", "run", "grid.png", "heatmaps", "demo.json"),
        }
        assert len(list((out / "heatmaps").glob("*.jpg"))) == 6
        assert (out / "run" / "report.html").read_bytes().lower().startswith(b"<!doctype html>")
        assert (out / "triage" / "triage.html").is_file()
        assert json.loads((out / "demo.json").read_bytes())["finished"] is True

    def test_what_it_says_of_cleaning_is_what_happened(self, finished: Ended, out: Path) -> None:
        planted = rows(out / "planted.csv")
        aside = {row["from"] for row in rows(out / "photos" / "cleaning.csv") if row["reason"] != "relabelled"}
        said = re.findall(r"^ ([a-zA-Z.\- ]+?) +(\d+) +(\d+) +\S", finished.out.decode(), re.MULTILINE)
        counted = {kind: (int(n), int(found)) for kind, n, found in said}
        for kind in {row["what"] for row in planted} - {"wrong label"}:
            pairs = [{row["file"], row["original"]} for row in planted if row["what"] == kind]
            assert counted[kind] == (len(pairs), sum(not pair.isdisjoint(aside) for pair in pairs))
        broken = [kind for kind in counted if kind.split()[-1] in {"JPEG", "file", ".jpg"} or "duplicate" in kind]
        assert len(broken) == 5
        assert all(counted[kind][0] == counted[kind][1] for kind in broken)

    def test_what_it_says_of_triage_is_what_happened(self, finished: Ended, out: Path) -> None:
        listed = {row["file"]: row["reason"] for row in rows(out / "triage" / "triage.csv")}
        wrong = {row["file"]: row for row in rows(out / "planted.csv") if row["what"] == "wrong label"}
        issues = {file for file, reason in listed.items() if reason == "wrong-label"}
        said = " ".join(finished.out.decode().split())
        numbers = re.search(
            r"(\d+) of (\d+) label issues are planted .* of (\d+) planted .* and (\d+) are anywhere", said
        )
        assert numbers is not None
        found = len(issues & wrong.keys())
        assert [int(n) for n in numbers.groups()[:2]] == [found, len(issues)]
        assert int(numbers[4]) == len(wrong.keys() & listed.keys())
        for row in rows(out / "decisions.csv"):
            planted = wrong[row["file"]]
            assert row["decision"] == f"move to {planted['true_label']}"
            assert (out / "photos" / planted["original"]).is_file()
            assert not (out / "photos" / row["file"]).exists()

    def test_the_commands_that_it_shows_are_those_that_a_person_would_type(self, finished: Ended, folder: Path) -> None:
        typed = [shlex.split(line)[2:] for line in finished.out.decode().splitlines() if line.startswith("$ ")]
        assert [words[0] for words in typed] == ["scenes", "clean", "triage", "triage", "train", "show", "predict"]
        predict = [word for word in typed[-1] if not word.startswith("--")]
        assert roadclear(*predict, cwd=folder).code == 0
        again = roadclear(*typed[-2], "--overwrite", cwd=folder)
        assert (again.code, again.out) == (0, b"roadclear-demo/grid.png\n")

    def test_it_tells_seconds_and_what_is_next(self, finished: Ended, out: Path) -> None:
        said = finished.out.decode()
        seconds = json.loads((out / "demo.json").read_bytes())["seconds"]
        assert len(seconds) == 6
        assert all(re.search(rf"{title} +{value:.1f} ", said) for title, value in seconds.items())
        assert "roadclear train PHOTOS" in said

    def test_it_is_not_replaced_unasked(self, out: Path, folder: Path) -> None:
        before = tree(out)
        ended = demo("--count", "60", cwd=folder)
        assert ended.code == 1
        assert "has a finished demo" in ended.error()
        assert tree(out) == before


class TestOwnPhotos:
    @pytest.fixture(scope="class")
    @staticmethod
    def before(drawn_photos: Path) -> dict[str, tuple[object, ...]]:
        return tree(drawn_photos)

    @pytest.fixture(scope="class")
    @staticmethod
    def ended(before: object, drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
        return demo("--photos", drawn_photos, "--out", tmp_path_factory.mktemp("own") / "new" / "out")

    def test_the_photos_stay_as_they_are(
        self, ended: Ended, before: dict[str, tuple[object, ...]], drawn_photos: Path
    ) -> None:
        assert ended.code == 0, ended.err
        assert tree(drawn_photos) == before

    def test_nothing_is_drawn_and_no_boxes_are_known(self, ended: Ended) -> None:
        said = ended.out.decode()
        assert "48 photos were copied." in said
        assert "$ roadclear scenes" not in said
        assert "The places of the drawn people" not in said
        assert "Next steps with the photos themselves" in said


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--count", "39"], 2, "--count must be at least 40"),
        (["--photos", "nowhere"], 1, "expected a folder with one subfolder a label"),
        (["--photos", "."], 1, "overlap"),
    ],
)
def test_what_cannot_work_is_told_and_leaves_no_demo(
    tmp_path: Path, arguments: list[str], code: int, reason: str
) -> None:
    ended = demo("--out", tmp_path / "out", *arguments, cwd=tmp_path)
    assert ended.code == code
    assert reason in ended.err
    assert list(tmp_path.iterdir()) == []
