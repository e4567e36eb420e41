"""`roadclear validate`: every photo tested in turn, tables for people and programs, and a plain word on bad input."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from process import START, Ended, roadclear, run

pytestmark = pytest.mark.slow

QUICK = ("--head", "linear", "--views", "0", "--folds", "3", "--repeats", "2")
METRICS = {"accuracy", "precision", "recall", "specificity", "balanced_accuracy", "f1"}
METRICS |= {"roc_auc", "average_precision", "brier", "log_loss"}


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validated") / "tables"


@pytest.fixture(scope="module")
def validated(drawn_photos: Path, folder: Path) -> Ended:
    ended = roadclear("validate", drawn_photos, "--out", folder, "--json", *QUICK)
    assert ended.code == 0, ended.err
    return ended


class TestTables:
    def test_json_is_all_there_is_on_stdout(self, validated: Ended, folder: Path) -> None:
        assert json.loads(validated.out) == json.loads((folder / "validation.json").read_text())
        assert "Accuracy " in validated.err

    def test_the_folder_holds_what_is_documented(self, validated: Ended, folder: Path) -> None:
        assert {path.name for path in folder.iterdir()} == {"validation.json", "out_of_fold.csv", "learning_curve.csv"}
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_every_metric_is_a_mean_of_its_folds(self, validated: Ended) -> None:
        values = json.loads(validated.out)
        assert set(values["metrics"]) == METRICS
        for metric in values["metrics"].values():
            assert len(metric["by_fold"]) == 6
            assert metric["value"] == pytest.approx(sum(metric["by_fold"]) / 6)
            assert metric["ci95"][0] <= metric["value"] <= metric["ci95"][1]
        assert (values["photos"], values["folds"], values["repeats"], values["head"]) == (48, 3, 2, "linear")
        assert values["unfrozen"] == 0

    def test_every_photo_has_its_line(self, validated: Ended, folder: Path, drawn_photos: Path) -> None:
        rows = rows_of(folder / "out_of_fold.csv")
        assert {row["file"] for row in rows} == {
            path.relative_to(drawn_photos).as_posix() for path in drawn_photos.glob("*/*.jpg")
        }
        for row in rows:
            assert row["file"].startswith(row["label"] + "/")
            assert row["predicted"] == ("crossing" if float(row["probability"]) >= 0.5 else "empty")
            assert row["correct"] == ("yes" if row["predicted"] == row["label"] else "no")

    def test_the_curve_is_the_same_everywhere(self, validated: Ended, folder: Path) -> None:
        told = json.loads(validated.out)["learning_curve"]
        rows = rows_of(folder / "learning_curve.csv")
        assert [float(row["share"]) for row in rows] == [point["share"] for point in told["points"]]
        assert [float(row["accuracy"]) for row in rows] == [point["accuracy"]["value"] for point in told["points"]]
        photos = [int(row["photos"]) for row in rows]
        assert photos == sorted(photos)
        assert told["verdict"] in validated.err


class TestSummary:
    def test_it_is_on_stdout_without_json(self, drawn_photos: Path) -> None:
        ended = roadclear("validate", drawn_photos, "--views", "0", "--folds", "3", "--repeats", "1")
        assert (ended.code, ended.err) == (0, "")
        text = ended.out.decode()
        assert "48 photos in 48 groups, 3 folds, 1 repeat, dense head." in text
        assert "Learning curve of the linear head:" in text
        assert "fine-tun" not in text
        assert b"\x1b" not in ended.out

    def test_bad_photos_are_listed_and_change_nothing_else(
        self, validated: Ended, drawn_photos: Path, tmp_path: Path
    ) -> None:
        photos = shutil.copytree(drawn_photos, tmp_path / "photos")
        (photos / "empty" / "nothing.jpg").write_bytes(b"")
        ended = roadclear("validate", photos, "--json", *QUICK)
        assert ended.code == 3
        values, before = json.loads(ended.out), json.loads(validated.out)
        assert all(values[name] == before[name] for name in ("metrics", "learning_curve", "photos", "groups"))
        assert values["skipped"] == [{"file": "empty/nothing.jpg", "reason": "the file is empty"}]
        assert "empty/nothing.jpg: the file is empty" in ended.err

    def test_parts_in_folders_are_passed_over(self, drawn_photos: Path, tmp_path: Path) -> None:
        for number, path in enumerate(sorted(drawn_photos.glob("*/*.jpg"))):
            target = tmp_path / "photos" / ("train" if number % 4 else "test") / path.parent.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        ended = roadclear("validate", tmp_path / "photos", "--json", *QUICK[:-1], "1")
        assert json.loads(ended.out)["photos"] == 48


class TestUnfreezing:
    OPTIONS = ("--unfreeze", "1", "--size", "64", "--folds", "2", "--repeats", "1", "--head", "linear")

    def test_tables_and_summary_say_so(self, drawn_photos: Path) -> None:
        pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")
        tuning = ("--finetune-epochs", "2", "--finetune-views", "1", "--finetune-learning-rate", "0.002")
        ended = roadclear("validate", drawn_photos, "--json", "--device", "cpu", *self.OPTIONS, *tuning)
        assert ended.code == 0, ended.err
        values = json.loads(ended.out)
        assert values["unfrozen"] == values["options"]["unfreeze"] == 1
        given = [values["options"][f"finetune_{name}"] for name in ("epochs", "views", "learning_rate")]
        assert (given, values["options"]["device"]) == ([2, 1, 0.002], "cpu")
        assert "2 folds, 1 repeat, linear head, 1 of 17 blocks fine-tuned." in ended.err
        assert "Learning curve of the linear head on the frozen base:" in ended.err
        assert " s heads and fine-tuning, " in ended.err

    def test_without_pytorch_it_says_what_to_install(self, drawn_photos: Path) -> None:
        without = f"import sys; sys.modules['torch'] = None; {START[-1]}"
        ended = run([*START[:-1], without, "validate", str(drawn_photos), *self.OPTIONS])
        assert ended.code == 1
        assert ended.error().endswith("--unfreeze needs PyTorch: pip install 'roadclear[finetune]'")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--folds", "1"), 2, "at least 2 folds and 1 repeat, got 1 and 3"),
        (("--repeats", "0"), 2, "at least 2 folds and 1 repeat, got 5 and 0"),
        (("--folds", "40"), 1, "more scenes than the 40 folds"),
        (("--head", "deep"), 2, "head must be one of dense, linear"),
        (("--unfreeze", "18"), 2, "unfreeze must be between 0 and 17 blocks"),
        (("--unfreeze", "all"), 2, "unfreeze must be between 0 and 17 blocks"),
        (("--positive", "tram"), 2, "the positive label must be one of"),
        (("--group-by", r"\w+-\d\d"), 1, "more scenes than the 5 folds"),
        (("--group-by", "("), 2, "group_by must be a regular expression"),
    ],
)
def test_bad_options(drawn_photos: Path, options: tuple[str, ...], code: int, words: str) -> None:
    ended = roadclear("validate", drawn_photos, "--views", "0", *options)
    assert ended.code == code
    assert words in ended.error()


def test_bad_places(drawn_photos: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    assert "is already there" in roadclear("validate", drawn_photos, "--out", taken).error()
    assert "would lie among the photos" in roadclear("validate", drawn_photos, "--out", drawn_photos / "out").error()
    assert "found no folder at" in roadclear("validate", tmp_path / "none").error()
