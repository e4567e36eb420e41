"""The run folder: what its files hold, in which form, whatever the photos are called."""

import csv
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadclear.data.dataset import LabelledPhoto, load_folder, with_split
from roadclear.errors import OptionError, OutputError
from roadclear.features.cache import open_cache
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.classification import Confusion, Evaluation, evaluation_values
from roadclear.metrics.intervals import Estimate
from roadclear.model.predictor import load
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.training.run_folder import metrics, read_config, split_table, write_run
from roadclear.utils.tables import to_json

OPTIONS = TrainSettings(size=32, views=1, epochs=3)
METRICS = {"accuracy", "precision", "recall", "specificity", "balanced_accuracy", "f1", "roc_auc"}
METRICS |= {"average_precision", "brier", "log_loss"}
FILES = {"model.onnx", "metrics.json", "history.csv", "splits.csv", "predictions.csv", "config.toml", "report.html"}
REPORT = b"<!doctype html><title>a report</title>"
ODD_NAMES = [
    "two\nlines.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    'a "quote", a comma.jpg',
    "carriage\rreturn.jpg",
    "横断.jpg",
]


@pytest.fixture(scope="module")
def training(drawn_photos: Path) -> TrainingResult:
    dataset = load_folder(drawn_photos)
    with open_cache(None) as cache:
        return train(dataset.photos, dataset.labels, "crossing", OPTIONS, cache)


@pytest.fixture(scope="module")
def run(training: TrainingResult, drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder, drawn_photos, training, REPORT)
    return folder


@pytest.fixture(scope="module")
def values(run: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="ascii"))
    return values


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def renamed(training: TrainingResult, names: Sequence[str]) -> TrainingResult:
    """The training as if its first photos had other names."""
    placement, root = training.data, Path("/photos")
    photos = [replace(p, file=f"{p.label}/{n}") for p, n in zip(placement.photos, names, strict=False)]
    photos = [replace(photo, path=root / photo.file) for photo in photos]
    return replace(training, placement=replace(placement, photos=(*photos, *placement.photos[len(names) :])))


class TestFolder:
    def test_it_holds_the_documented_files(self, run: Path) -> None:
        assert {path.name for path in run.iterdir()} == FILES

    def test_the_model_is_the_trained_one(self, run: Path, training: TrainingResult) -> None:
        assert load(run).data == training.model

    def test_the_report_is_the_given_one_or_none(self, run: Path, training: TrainingResult, tmp_path: Path) -> None:
        assert (run / "report.html").read_bytes() == REPORT
        write_run(tmp_path / "run", "photos", training, None)
        assert {path.name for path in (tmp_path / "run").iterdir()} == FILES - {"report.html"}

    def test_it_is_not_written_among_the_photos(self, training: TrainingResult, drawn_photos: Path) -> None:
        for folder in (drawn_photos, drawn_photos / "run", drawn_photos / "crossing" / ".." / "run"):
            with pytest.raises(OutputError, match="would lie among the photos: choose another with --out"):
                write_run(folder, drawn_photos, training, None, overwrite=True)
        assert sorted(path.name for path in drawn_photos.iterdir()) == ["crossing", "empty"]

    def test_a_folder_that_is_no_run_is_not_replaced(
        self, training: TrainingResult, drawn_photos: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "thesis.txt").write_text("three years of work")
        with pytest.raises(OutputError, match="holds other things than a run, and is left alone"):
            write_run(tmp_path, drawn_photos, training, None, overwrite=True)
        assert (tmp_path / "thesis.txt").read_text() == "three years of work"


class TestMetrics:
    def test_its_entries(self, values: dict[str, Any]) -> None:
        assert list(values) == [
            "positive", "negative", "threshold", "aim", "temperature", "unsure_band", "distance_limit", "head",
            "best_epoch", "unfrozen", "unfreezing_trials", "splits", "validation", "test", "reliability", "per_source",
            "one_sided_sources", "leakage", "linear_head", "timing", "skipped",
        ]  # fmt: skip
        assert (values["positive"], values["negative"], values["head"]) == ("crossing", "empty", "dense")
        assert 0 < values["threshold"] < 1
        assert 1 <= values["best_epoch"] <= 3
        assert values["per_source"] == values["one_sided_sources"] == {}
        assert values["skipped"] == []

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_what_may_be_relied_upon(self, values: dict[str, Any], part: str) -> None:
        found = values["reliability"][part]
        assert list(found) == ["before_calibration", "after_calibration", "unsure", "covered", "unfamiliar"]
        for when in ("before_calibration", "after_calibration"):
            assert sum(b["n"] for b in found[when]["bins"]) == values["splits"][part]["n"]
        assert found["after_calibration"]["brier"] == pytest.approx(values[part]["brier"]["value"])
        assert {label: share["n"] for label, share in found["covered"].items()} == {
            label: values["splits"][part][label] for label in ("crossing", "empty")
        }
        assert values["unsure_band"]["low"] <= values["threshold"] <= values["unsure_band"]["high"]

    @pytest.mark.parametrize("head", [[], ["linear_head"]])
    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_an_evaluation(self, values: dict[str, Any], head: list[str], part: str) -> None:
        evaluation = (values[head[0]] if head else values)[part]
        assert evaluation.keys() == METRICS | {"confusion"}
        assert evaluation["confusion"].keys() == {"tp", "fp", "fn", "tn"}
        assert sum(evaluation["confusion"].values()) == values["splits"][part]["n"]
        for name in METRICS:
            assert evaluation[name].keys() == {"value", "ci95", "n"}
            assert len(evaluation[name]["ci95"]) == 2

    def test_splits_count_every_photo_once(self, values: dict[str, Any]) -> None:
        assert list(values["splits"]) == ["train", "validation", "test"]
        assert all(set(counts) == {"n", "crossing", "empty"} for counts in values["splits"].values())
        assert sum(counts["n"] for counts in values["splits"].values()) == 48
        assert sum(counts["crossing"] for counts in values["splits"].values()) == 24

    def test_splits_name_the_parts_that_there_are(self, training: TrainingResult) -> None:
        parts = tuple("train" if part == "test" else part for part in training.data.splits)
        found = metrics(replace(training, placement=replace(training.data, parts=parts)))["splits"]
        assert list(found) == ["train", "validation"]
        assert sum(counts["n"] for counts in found.values()) == 48

    def test_leakage_and_timing(self, values: dict[str, Any]) -> None:
        assert list(values["leakage"]) == [
            "look_alike_groups", "look_alike_photos", "groups", "grouped_photos", "straddling", "would_straddle",
            "random_split_accuracy", "grouped_split_accuracy",
        ]  # fmt: skip
        assert list(values["timing"]) == [
            "photos", "views", "decode_s", "features_s", "head_s", "finetune_s", "total_s",
        ]  # fmt: skip
        assert values["timing"]["photos"] == 48
        assert values["timing"]["views"] == 48 + values["splits"]["train"]["n"]
        assert all(seconds >= 0 for seconds in values["timing"].values())

    def test_sources(self, training: TrainingResult) -> None:
        sources = {"crossing": "street.example", "empty": "road.example"}
        photos = [replace(photo, source=sources[photo.label]) for photo in training.data.photos]
        placement = replace(training.data, photos=tuple(photos))
        per_source = {"street.example": Estimate(0.5, (0.1, 0.9), 2)}
        values = metrics(replace(training, placement=placement, per_source=per_source))
        assert values["per_source"] == {"street.example": {"accuracy": {"value": 0.5, "ci95": [0.1, 0.9], "n": 2}}}
        assert values["one_sided_sources"] == {"road.example": "empty", "street.example": "crossing"}

    def test_what_is_undefined_is_null(self) -> None:
        nothing = Estimate(math.nan, (math.nan, math.nan), 0)
        values = evaluation_values(Evaluation({"roc_auc": nothing}, Confusion(0, 0, 1, 0), 0.5))
        assert json.loads(to_json(values)) == {
            "roc_auc": {"value": None, "ci95": [None, None], "n": 0},
            "confusion": {"tp": 0, "fp": 0, "fn": 1, "tn": 0},
        }

    def test_skipped_photos_of_any_name(self, training: TrainingResult) -> None:
        skipped = tuple(UnreadablePhoto(Path("crossing", name), "the file is empty") for name in ODD_NAMES)
        text = to_json(metrics(replace(training, placement=replace(training.data, skipped=skipped))))
        assert text.isascii()
        expected = [{"file": f"crossing/{name}", "reason": "the file is empty"} for name in ODD_NAMES]
        assert json.loads(text)["skipped"] == expected


class TestTables:
    def test_history(self, run: Path, training: TrainingResult) -> None:
        found = rows(run / "history.csv")
        assert list(found[0]) == ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
        expected = [list(asdict(epoch).values()) for epoch in training.head.trained.history]
        assert [[float(value) for value in row.values()] for row in found] == expected

    def test_splits(self, run: Path, training: TrainingResult) -> None:
        found = rows(run / "splits.csv")
        assert list(found[0]) == ["file", "label", "split", "group"]
        placement = training.data
        expected = zip(placement.photos, placement.splits, placement.groups.tolist(), strict=True)
        assert [tuple(row.values()) for row in found] == [
            (photo.file, photo.label, part, str(group)) for photo, part, group in expected
        ]

    def test_predictions(self, run: Path, training: TrainingResult) -> None:
        found = rows(run / "predictions.csv")
        assert list(found[0]) == [
            "file", "label", "split", "probability", "predicted", "correct", "answer", "distance", "unfamiliar",
        ]  # fmt: skip
        assert [float(row["probability"]) for row in found] == training.probabilities.tolist()
        for row in found:
            called = "crossing" if float(row["probability"]) >= training.facts.threshold else "empty"
            assert row["predicted"] == called
            assert row["correct"] == ("yes" if called == row["label"] else "no")
            unsure = training.facts.band.covers(np.array([float(row["probability"])]))[0]
            assert row["answer"] == ("unsure" if unsure else called)
            assert row["unfamiliar"] == ("yes" if float(row["distance"]) > training.facts.distance_limit else "no")

    def test_they_agree_with_the_metrics(self, run: Path, training: TrainingResult) -> None:
        right = [row["correct"] == "yes" for row in rows(run / "predictions.csv") if row["split"] == "test"]
        assert training.evaluations["test"].metrics["accuracy"].value == np.mean(right)

    def test_file_names_keep_their_bytes(self, training: TrainingResult, drawn_photos: Path, tmp_path: Path) -> None:
        write_run(tmp_path / "run", drawn_photos, renamed(training, ODD_NAMES), None)
        for table in ("splits.csv", "predictions.csv"):
            files = [row["file"] for row in rows(tmp_path / "run" / table)]
            assert [Path(file).name for file in files[: len(ODD_NAMES)]] == ODD_NAMES
            assert len(files) == 48
            assert b"caf\xe9.jpg" in (tmp_path / "run" / table).read_bytes()

    def test_a_split_table_can_be_read_again(self, tmp_path: Path) -> None:
        """Whatever the photos are called."""
        files = [f"{label}/{name}" for label in ("a", "b") for name in sorted(ODD_NAMES)]
        for file in files:
            (tmp_path / "photos" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / file).touch()
        dataset = load_folder(tmp_path / "photos")
        parts = ("train", "test", "validation", "train", "test") * 2
        (tmp_path / "splits.csv").write_bytes(split_table(placement(dataset.photos, parts)))
        assert tuple(photo.split for photo in with_split(dataset, tmp_path / "splits.csv").photos) == parts


def placement(photos: Sequence[LabelledPhoto], parts: Sequence[str]) -> PreparedData:
    """Photos with their parts, and nothing else of interest."""
    n = len(photos)
    groups = np.arange(n)
    return PreparedData(tuple(photos), ("",) * n, np.zeros((n, 1280), np.float32), groups, groups, tuple(parts), ())


class TestConfig:
    def test_it_repeats_the_run(self, run: Path, drawn_photos: Path) -> None:
        photos, options = read_config(run / "config.toml")
        assert photos == str(drawn_photos.resolve())
        assert options == replace(OPTIONS, positive="crossing")

    def test_it_says_how(self, run: Path) -> None:
        first = (run / "config.toml").read_text().splitlines()[0]
        assert first == "# Repeat this run: roadclear train --config config.toml --out ANOTHER_FOLDER"

    @settings(max_examples=40, deadline=None)
    @given(
        positive=st.none() | st.text(),
        group_by=st.none() | st.text(),
        learning_rate=st.floats(0, 1, exclude_min=True),
        rotation=st.integers(0, 180),
        min_recall=st.none() | st.just(1) | st.floats(0.01, 1),
        group_by_page=st.booleans(),
    )
    def test_any_options_survive(
        self, training: TrainingResult, tmp_path_factory: pytest.TempPathFactory, **values: Any
    ) -> None:
        options = TrainSettings(**values)
        folder = tmp_path_factory.mktemp("any") / "run"
        write_run(folder, "photos", replace(training, options=options), None)
        assert read_config(folder / "config.toml")[1] == options

    @pytest.mark.parametrize(
        "name", ['quote " and \\ backslash', "two\nlines", "横断 🚸", "delete\x7f", "tab\t", "a = 1 # x"]
    )
    def test_folders_of_any_text(self, training: TrainingResult, tmp_path: Path, name: str) -> None:
        write_run(tmp_path / "run", tmp_path / name, training, None)
        assert read_config(tmp_path / "run" / "config.toml")[0] == str(tmp_path / name)

    def test_names_that_are_no_text_do_not_spoil_the_run(self, training: TrainingResult, tmp_path: Path) -> None:
        """TOML is UTF-8; what is not is replaced, since the training is done and must be kept."""
        name = os.fsdecode(b"caf\xe9")
        options = replace(training.settings, weights_file=f"{name}.pt")
        write_run(tmp_path / "run", tmp_path / name, replace(training, options=options), None)
        photos, read = read_config(tmp_path / "run" / "config.toml")
        assert photos is not None
        assert Path(photos).name.startswith("caf")
        assert str(read.weights_file).startswith("caf")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("photos = 3\n", "photos must be the path of a folder, got 3"),
            ("epoch = 3\n", "unknown option 'epoch'"),
            ("epochs = '3'\n", "epochs must be of type int, got '3'"),
            ("epochs = 0\n", "epochs must be between 1 and 10,000, got 0"),
            ("epochs = \n", "expected a config.toml of a run at "),
            ("caf\xe9", "expected a config.toml of a run at "),
        ],
    )
    def test_what_is_no_configuration(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "config.toml").write_bytes(text.encode("latin-1"))
        with pytest.raises(OptionError) as caught:
            read_config(tmp_path / "config.toml")
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["missing.toml", "."])
    def test_no_configuration(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(OptionError, match=r"^expected a config\.toml of a run at "):
            read_config(tmp_path / name)

    def test_only_options_is_fine(self, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text("epochs = 7\nrotation = 3\n")
        assert read_config(tmp_path / "config.toml") == (None, TrainSettings(epochs=7, rotation=3))
