"""`roadclear train`, `split` and `info`: a run folder that says everything, and can be repeated from what it says."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from process import QUICK, Ended, roadclear

pytestmark = pytest.mark.slow

FILES = {"model.onnx", "metrics.json", "history.csv", "splits.csv", "predictions.csv", "config.toml"}
HARD_NAME = "a 'quoted' \"one\"\n\\ tab\t[bold]横断\x7f🚸"


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))


def same_but_for_time(one: Path, other: Path) -> bool:
    def numbers(run: Path) -> dict[str, object]:
        values: dict[str, object] = json.loads((run / "metrics.json").read_text())
        del values["timing"]
        return values

    files = ("model.onnx", "history.csv", "splits.csv", "predictions.csv")
    return all((one / f).read_bytes() == (other / f).read_bytes() for f in files) and numbers(one) == numbers(other)


class TestReport:
    def test_it_is_part_of_the_run_and_told_of(self, drawn_photos: Path, tmp_path: Path) -> None:
        with_report = [word for word in QUICK if word != "--no-report"]
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", *with_report)
        assert (ended.code, ended.err) == (0, "")
        lines = ended.out.decode().splitlines()
        assert lines[0].startswith("Test accuracy: ") and " in cross-validation of the linear head; " in lines[0]
        assert lines[-2] == f"Report: {tmp_path / 'run' / 'report.html'}"
        assert lines[-1].startswith("Model: ") and lines[-1].endswith(" PHOTO")
        assert len(lines) <= 15
        assert {path.name for path in (tmp_path / "run").iterdir()} == FILES | {"report.html"}
        page = (tmp_path / "run" / "report.html").read_text()
        accuracy = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["accuracy"]["value"]
        assert f"{accuracy:.1%}" in page


class TestRunFolder:
    def test_it_holds_what_is_documented_and_nothing_else(self, trained_run: Path) -> None:
        assert {path.name for path in trained_run.iterdir()} >= FILES
        assert [path.name for path in trained_run.parent.iterdir()] == ["run"]

    def test_its_tables_tell_the_same_story(self, trained_run: Path, drawn_photos: Path) -> None:
        metrics = json.loads((trained_run / "metrics.json").read_text())
        splits, predictions = rows_of(trained_run / "splits.csv"), rows_of(trained_run / "predictions.csv")
        files = {path.relative_to(drawn_photos).as_posix() for path in drawn_photos.glob("*/*.jpg")}
        assert {row["file"] for row in splits} == {row["file"] for row in predictions} == files
        assert all(row["file"].startswith(row["label"] + "/") for row in splits)
        for part in ("train", "validation", "test"):
            assert metrics["splits"][part]["n"] == sum(row["split"] == part for row in splits)
        test = [row for row in predictions if row["split"] == "test"]
        assert metrics["test"]["accuracy"]["value"] == sum(row["correct"] == "yes" for row in test) / len(test)
        for row in predictions:
            reached = float(row["probability"]) >= metrics["threshold"]
            assert row["predicted"] == ("crossing" if reached else "empty")
            assert row["correct"] == ("yes" if row["predicted"] == row["label"] else "no")

    def test_its_probabilities_are_those_of_the_model_file(self, trained_run: Path, drawn_photos: Path) -> None:
        told = {row["file"]: float(row["probability"]) for row in rows_of(trained_run / "predictions.csv")}
        ended = roadclear("predict", trained_run, drawn_photos, "--format", "jsonl")
        predicted = [json.loads(line) for line in ended.out.splitlines()]
        assert len(predicted) == len(told)
        for row in predicted:
            file = Path(row["file"]).relative_to(drawn_photos).as_posix()
            assert row["probability"] == pytest.approx(told[file], abs=1e-4)

    def test_the_history_has_a_line_an_epoch(self, trained_run: Path) -> None:
        history = rows_of(trained_run / "history.csv")
        assert [int(row["epoch"]) for row in history] == [1, 2, 3, 4, 5]
        best = json.loads((trained_run / "metrics.json").read_text())["best_epoch"]
        losses = [float(row["validation_loss"]) for row in history]
        assert losses.index(min(losses)) + 1 == best


class TestOutput:
    def test_json_is_all_there_is_on_stdout(self, drawn_photos: Path, tmp_path: Path) -> None:
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", "--json", *QUICK)
        assert ended.code == 0
        assert json.loads(ended.out) == json.loads((tmp_path / "run" / "metrics.json").read_text())
        assert "Test accuracy" in ended.err

    def test_without_json_the_summary_is_on_stdout(self, drawn_photos: Path, tmp_path: Path) -> None:
        ended = roadclear("train", drawn_photos, *QUICK, cwd=tmp_path)
        assert (ended.code, ended.err) == (0, "")
        (run,) = (tmp_path / "runs").iterdir()
        assert f"roadclear predict runs/{run.name} PHOTO" in ended.out.decode()
        assert b"\x1b" not in ended.out

    def test_photos_that_cannot_be_used_are_listed_and_end_in_3(self, drawn_photos: Path, tmp_path: Path) -> None:
        photos = shutil.copytree(drawn_photos, tmp_path / "photos")
        (photos / "empty" / "two\nlines.jpg").write_bytes(b"")
        (photos / "crossing" / "page.jpg").write_text("<html>")
        for n in range(22):
            (photos / "empty" / f"{n:02}.jpg").write_bytes(b"\0" * 100)
        ended = roadclear("train", photos, "--out", tmp_path / "run", "--json", *QUICK)
        assert ended.code == 3
        skipped = {row["file"]: row["reason"] for row in json.loads(ended.out)["skipped"]}
        assert len(skipped) == 24
        assert skipped["empty/two\nlines.jpg"] == "the file is empty"
        assert "24 photos could not be used:" in ended.err
        assert "  crossing/page.jpg: an HTML page, not a photo" in ended.err.splitlines()
        assert "  and 4 more" in ended.err.splitlines()


class TestConfig:
    @pytest.fixture(scope="class")
    @staticmethod
    def hard_run(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A run with options other than the defaults, on photos in a folder with a difficult name."""
        folder = tmp_path_factory.mktemp("hard")
        photos = shutil.copytree(drawn_photos, folder / HARD_NAME)
        options = ["--size", "64", "--views", "2", "--rotation", "3.5", "--epochs", "4", "--patience", "2"]
        options += ["--learning-rate", "0.001", "--seed", "7", "--positive", "empty", "--min-recall", "0.9"]
        ended = roadclear("train", photos, "--out", folder / "run", *options)
        assert ended.code == 0, ended.err
        return folder / "run"

    def test_a_run_is_repeated_from_it(self, hard_run: Path, tmp_path: Path) -> None:
        ended = roadclear("train", "--config", hard_run / "config.toml", "--out", tmp_path / "again")
        assert ended.code == 0, ended.err
        assert same_but_for_time(hard_run, tmp_path / "again")
        assert (hard_run / "config.toml").read_bytes() == (tmp_path / "again" / "config.toml").read_bytes()

    def test_the_command_line_goes_before_it(self, hard_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
        ended = roadclear(
            *("train", drawn_photos, "--config", hard_run / "config.toml", "--out", tmp_path / "run"),
            *("--seed", "0", "--positive", "crossing"),
        )
        assert ended.code == 0, ended.err
        before, after = (
            dict(line.split(" = ", 1) for line in (run / "config.toml").read_text().splitlines() if " = " in line)
            for run in (hard_run, tmp_path / "run")
        )
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"photos", "seed", "positive"}
        assert (after["seed"], after["positive"]) == ("0", '"crossing"')

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("layers = 3", "unknown option 'layers'"),
            ("views = 2.5", "views must be of type int"),
            ("views = true", "views must be of type int"),
            ('seed = "one"', "seed must be of type int"),
            ("size = 100", "size must be a multiple of 32"),
            ("photos = 3", "photos must be the path of a folder"),
            ("views = ", "expected a config.toml"),
        ],
    )
    def test_what_is_no_option_is_refused(self, drawn_photos: Path, tmp_path: Path, line: str, message: str) -> None:
        (tmp_path / "config.toml").write_text(line + "\n")
        ended = roadclear("train", drawn_photos, "--config", tmp_path / "config.toml", cwd=tmp_path)
        assert ended.code == 2
        assert message in ended.error()


class TestRunFolderThatIsThere:
    """It is refused before any work is done; only a run is ever replaced."""

    def test_it_is_kept_unless_told(self, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "mine.txt").write_text("keep me")
        own = {"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", *QUICK, env=own)
        assert (ended.code, ended.out) == (1, b"")
        assert "add --overwrite" in ended.error()
        assert not (tmp_path / "cache").exists()

    def test_a_run_is_replaced_as_a_whole(self, trained_run: Path, drawn_photos: Path, tmp_path: Path) -> None:
        run = shutil.copytree(trained_run, tmp_path / "run")
        (run / "old.txt").write_text("of the old run")
        ended = roadclear("train", drawn_photos, "--out", run, "--overwrite", *QUICK, "--seed", "1")
        assert ended.code == 0, ended.err
        assert {path.name for path in run.iterdir()} >= FILES
        assert not (run / "old.txt").exists()
        assert (run / "model.onnx").read_bytes() != (trained_run / "model.onnx").read_bytes()
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    @pytest.mark.parametrize(
        ("out", "reason"),
        [
            (".", "other things than a run"),
            ("photos", "would lie among the photos"),
            ("photos/empty", "would lie among the photos"),
            ("photos/run", "would lie among the photos"),
        ],
    )
    def test_photos_are_neither_replaced_nor_joined_by_a_run(
        self, drawn_photos: Path, tmp_path: Path, out: str, reason: str
    ) -> None:
        shutil.copytree(drawn_photos, tmp_path / "photos")
        before = sorted(tmp_path.rglob("*"))
        ended = roadclear("train", "photos", "--out", out, "--overwrite", *QUICK, cwd=tmp_path)
        assert ended.code == 1
        assert reason in ended.error()
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_file_is_never_replaced(self, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("a file")
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", "--overwrite", *QUICK)
        assert ended.code == 1
        assert "is no folder" in ended.error()
        assert (tmp_path / "run").read_text() == "a file"

    def test_an_empty_folder_is_taken(self, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        ended = roadclear("train", drawn_photos, "--out", tmp_path / "run", "--overwrite", *QUICK)
        assert ended.code == 0, ended.err

    @pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
    def test_where_nothing_can_be_written_nothing_is_begun(self, drawn_photos: Path, tmp_path: Path) -> None:
        own = {"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}
        ended = roadclear("train", drawn_photos, "--out", "/proc/run", *QUICK, env=own)
        assert (ended.code, ended.out) == (1, b"")
        assert "cannot write '/proc/run'" in ended.error()
        assert not (tmp_path / "cache").exists()


class TestNames:
    """File, folder and label names of any kind; those of files may be any bytes."""

    NAMES = (b"with spaces .jpg", b"'\"`.jpg", b"two\nlines.jpg", b"caf\xe9 \xff.jpg", b"[bold]x.jpg", b"-x,y;.jpg")

    @pytest.fixture(scope="class")
    @staticmethod
    def trained(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
        folder = tmp_path_factory.mktemp("names")
        labels = {"crossing": "[red] people 'n' more 人", "empty": "no, nobody"}
        for label, new in labels.items():
            shutil.copytree(drawn_photos / label, folder / HARD_NAME / new)
        for i, name in enumerate(TestNames.NAMES):
            photo = sorted((folder / HARD_NAME / labels["empty"]).glob("empty-*"))[i]
            photo.rename(photo.with_name(os.fsdecode(name)))
        out = folder / "a run [bold]\n"
        return out, roadclear("train", folder / HARD_NAME, "--out", out, *QUICK[:-2])

    def test_training_ends_well(self, trained: tuple[Path, Ended]) -> None:
        _, ended = trained
        assert (ended.code, ended.err) == (0, "")
        assert "Positive class: [red] people 'n' more 人. Negative class: no, nobody." in ended.out.decode()

    def test_tables_keep_every_byte(self, trained: tuple[Path, Ended]) -> None:
        for table in ("splits.csv", "predictions.csv"):
            files = {os.fsencode(row["file"]) for row in rows_of(trained[0] / table)}
            assert {b"no, nobody/" + name for name in self.NAMES} <= files

    def test_every_command_takes_such_a_run(self, trained: tuple[Path, Ended], drawn_photos: Path) -> None:
        run, _ = trained
        for command in (["info", run], ["info", run, "--json"], ["predict", run, drawn_photos / "empty"]):
            ended = roadclear(*command)
            assert (ended.code, ended.err) == (0, "")
        ended = roadclear("evaluate", run, run.parent / HARD_NAME)
        assert ended.code == 0
        assert "[red] people 'n' more 人" in ended.out.decode()

    def test_a_label_that_cannot_be_shown_is_refused(self, drawn_photos: Path, tmp_path: Path) -> None:
        for label, new in (("crossing", b"caf\xe9"), ("empty", b"empty")):
            shutil.copytree(drawn_photos / label, tmp_path / "photos" / os.fsdecode(new))
        ended = roadclear("train", tmp_path / "photos", *QUICK[:-2], cwd=tmp_path)
        assert ended.code == 1
        assert "printable UTF-8 name" in ended.error()


class TestInfo:
    def test_json_is_what_the_model_file_holds(self, trained_run: Path) -> None:
        ended = roadclear("info", trained_run, "--json")
        facts = json.loads(ended.out)
        assert (ended.code, ended.err) == (0, "")
        assert (facts["positive"], facts["negative"], facts["size"]) == ("crossing", "empty", 96)
        metrics = json.loads((trained_run / "metrics.json").read_text())
        assert facts["threshold"] == metrics["threshold"]
        assert facts["training"]["options"]["epochs"] == 5

    def test_for_people_it_is_a_table(self, trained_run: Path) -> None:
        ended = roadclear("info", trained_run / "model.onnx")
        assert (ended.code, ended.err) == (0, "")
        text = ended.out.decode()
        assert "positive class" in text and "crossing" in text and "MIT" in text


class TestSplit:
    def test_its_table_is_used_by_train(self, drawn_photos: Path, tmp_path: Path) -> None:
        ended = roadclear("split", drawn_photos, "--out", tmp_path / "split.csv", "--seed", "3")
        assert (ended.code, ended.err) == (0, "")
        table = rows_of(tmp_path / "split.csv")
        assert len(table) == 48
        ended = roadclear(
            *("train", drawn_photos, "--split", tmp_path / "split.csv", "--out", tmp_path / "run", *QUICK)
        )
        assert ended.code == 0, ended.err
        used = {row["file"]: row["split"] for row in rows_of(tmp_path / "run" / "splits.csv")}
        assert used == {row["file"]: row["split"] for row in table}

    def test_a_photo_that_it_lacks_is_told(self, drawn_photos: Path, tmp_path: Path) -> None:
        (tmp_path / "split.csv").write_text("file,split\nempty/empty-000.jpg,train\n")
        ended = roadclear("train", drawn_photos, "--split", tmp_path / "split.csv", *QUICK, cwd=tmp_path)
        assert ended.code == 1
        assert "lacks 47 of the 48 photos" in ended.error()
