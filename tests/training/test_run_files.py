"""The files of a run folder: what they hold, in which form, whatever the photos are called."""

import csv
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named_files import NOT_UTF8, ODD_NAMES

from roadclear.data.dataset import load_folder, with_split
from roadclear.errors import DatasetError, OptionError
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.classification import Confusion, Evaluation, evaluation_values
from roadclear.metrics.intervals import Estimate
from roadclear.training import limits
from roadclear.training.config import TrainSettings
from roadclear.training.result import TrainingResult
from roadclear.training.run_files import SplitRow, config, metrics, read_config, read_splits, split_table
from roadclear.training.run_folder import Run
from roadclear.utils.tables import to_json

METRICS = {"accuracy", "precision", "recall", "specificity", "balanced_accuracy", "f1", "roc_auc"}
METRICS |= {"average_precision", "brier", "log_loss"}
NAMES = [*ODD_NAMES, "carriage\rreturn.jpg"]


@pytest.fixture(scope="module")
def values(small_run: Run) -> dict[str, Any]:
    return small_run.metrics


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def renamed(training: TrainingResult, names: Sequence[str]) -> TrainingResult:
    """The training as if its first photos had other names."""
    data, root = training.data, Path("/photos")
    photos = [replace(p, file=f"{p.label}/{n}") for p, n in zip(data.photos, names, strict=False)]
    photos = [replace(photo, path=root / photo.file) for photo in photos]
    return replace(training, data=replace(data, photos=(*photos, *data.photos[len(names) :])))


class TestMetrics:
    def test_its_entries(self, values: dict[str, Any]) -> None:
        assert list(values) == [
            "positive", "negative", "threshold", "aim", "temperature", "unsure_band", "promise", "distance_limit",
            "head", "best_epoch", "unfrozen", "unfreezing_trials", "splits", "validation", "test", "reliability",
            "per_source", "one_sided_sources", "leakage", "linear_head", "timing", "skipped", "model_sha256",
            "label_conflicts", "cross_validated",
        ]  # fmt: skip
        assert (values["positive"], values["negative"], values["head"]) == ("crossing", "empty", "dense")
        assert 0 < values["threshold"] < 1
        assert 1 <= values["best_epoch"] <= 5
        assert values["per_source"] == values["one_sided_sources"] == {}
        assert values["skipped"] == []

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_what_may_be_relied_upon(self, values: dict[str, Any], part: str) -> None:
        found = values["reliability"][part]
        assert list(found) == ["before_calibration", "after_calibration", "unsure", "wrong", "covered", "unfamiliar"]
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

    def test_splits_name_the_parts_that_there_are(self, small_training: TrainingResult) -> None:
        splits = tuple("train" if split == "test" else split for split in small_training.data.splits)
        found = metrics(replace(small_training, data=replace(small_training.data, splits=splits)))["splits"]
        assert list(found) == ["train", "validation"]
        assert sum(counts["n"] for counts in found.values()) == 48

    def test_leakage_and_timing(self, values: dict[str, Any]) -> None:
        assert list(values["leakage"]) == [
            "look_alike_groups", "look_alike_photos", "groups", "grouped_photos", "straddling", "would_straddle",
            "random_split_accuracy", "grouped_split_accuracy", "leaking_test_photos",
        ]  # fmt: skip
        assert list(values["timing"]) == [
            "photos", "views", "decode_s", "features_s", "head_s", "finetune_s", "total_s",
        ]  # fmt: skip
        assert values["timing"]["photos"] == 48
        assert 0 <= values["timing"]["views"] <= 48 + values["splits"]["train"]["n"]  # the cache may have some
        assert all(seconds >= 0 for seconds in values["timing"].values())

    def test_what_was_done_on_some_of_many_photos(
        self, small_training: TrainingResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train = metrics(small_training)["splits"]["train"]["n"]
        monkeypatch.setattr(limits, "MOST_LINEAR", train)
        monkeypatch.setattr(limits, "MOST_COMPARED", 48)
        assert "limits" not in metrics(small_training)
        monkeypatch.setattr(limits, "MOST_LINEAR", train - 1)
        assert metrics(small_training)["limits"] == {"look_alikes_in_cells": False, "linear_head_photos": train - 1}
        monkeypatch.setattr(limits, "MOST_COMPARED", 47)
        assert metrics(small_training)["limits"]["look_alikes_in_cells"]

    def test_sources(self, small_training: TrainingResult) -> None:
        sources = {"crossing": "street.example", "empty": "road.example"}
        photos = [replace(photo, source=sources[photo.label]) for photo in small_training.data.photos]
        data = replace(small_training.data, photos=tuple(photos))
        per_source = {"street.example": Estimate(0.5, (0.1, 0.9), 2)}
        values = metrics(replace(small_training, data=data, per_source=per_source))
        assert values["per_source"] == {"street.example": {"accuracy": {"value": 0.5, "ci95": [0.1, 0.9], "n": 2}}}
        assert values["one_sided_sources"] == {"road.example": "empty", "street.example": "crossing"}

    def test_what_is_undefined_is_null(self) -> None:
        nothing = Estimate(math.nan, (math.nan, math.nan), 0)
        values = evaluation_values(Evaluation({"roc_auc": nothing}, Confusion(0, 0, 1, 0), 0.5))
        assert json.loads(to_json(values)) == {
            "roc_auc": {"value": None, "ci95": [None, None], "n": 0},
            "confusion": {"tp": 0, "fp": 0, "fn": 1, "tn": 0},
        }

    def test_skipped_photos_of_any_name(self, small_training: TrainingResult) -> None:
        skipped = tuple(UnreadablePhoto(Path("crossing", name), "the file is empty") for name in NAMES)
        text = to_json(metrics(replace(small_training, data=replace(small_training.data, skipped=skipped))))
        assert text.isascii()
        expected = [{"file": f"crossing/{name}", "reason": "the file is empty"} for name in NAMES]
        assert json.loads(text)["skipped"] == expected


class TestTables:
    def test_history(self, small_run: Run, small_training: TrainingResult) -> None:
        found = rows(small_run.folder / "history.csv")
        assert list(found[0]) == ["epoch", "train_loss", "validation_loss", "validation_accuracy"]
        expected = [list(asdict(epoch).values()) for epoch in small_training.head.trained.history]
        assert [[float(value) for value in row.values()] for row in found] == expected

    def test_splits(self, small_run: Run, small_training: TrainingResult) -> None:
        found = rows(small_run.folder / "splits.csv")
        assert list(found[0]) == ["file", "label", "split", "group"]
        data = small_training.data
        expected = zip(data.photos, data.splits, data.groups.tolist(), strict=True)
        assert [tuple(row.values()) for row in found] == [
            (photo.file, photo.label, part, str(group)) for photo, part, group in expected
        ]

    def test_predictions(self, small_run: Run, small_training: TrainingResult) -> None:
        found = rows(small_run.folder / "predictions.csv")
        assert list(found[0]) == [
            "file", "label", "split", "probability", "predicted", "correct", "answer", "distance", "unfamiliar",
        ]  # fmt: skip
        assert [float(row["probability"]) for row in found] == small_training.probabilities.tolist()
        for row in found:
            called = "crossing" if float(row["probability"]) >= small_training.facts.threshold else "empty"
            assert row["predicted"] == called
            assert row["correct"] == ("yes" if called == row["label"] else "no")
            unsure = small_training.facts.band.covers(np.array([float(row["probability"])]))[0]
            assert row["answer"] == ("unsure" if unsure else called)
            assert row["unfamiliar"] == (
                "yes" if float(row["distance"]) > small_training.facts.distance_limit else "no"
            )

    def test_they_agree_with_the_metrics(self, small_run: Run, small_training: TrainingResult) -> None:
        right = [
            row["correct"] == "yes" for row in rows(small_run.folder / "predictions.csv") if row["split"] == "test"
        ]
        assert small_training.evaluations["test"].metrics["accuracy"].value == np.mean(right)

    def test_file_names_keep_their_bytes(
        self, small_training: TrainingResult, drawn_photos: Path, tmp_path: Path
    ) -> None:
        Run.save(tmp_path / "run", drawn_photos, renamed(small_training, NAMES))
        for table in ("splits.csv", "predictions.csv"):
            files = [row["file"] for row in rows(tmp_path / "run" / table)]
            assert [Path(file).name for file in files[: len(NAMES)]] == NAMES
            assert len(files) == 48
            assert os.fsencode(NOT_UTF8) in (tmp_path / "run" / table).read_bytes()

    def test_a_split_table_is_a_prescribed_split(self, small_training: TrainingResult, tmp_path: Path) -> None:
        """Whatever the photos are called."""
        files = [f"{label}/{name}" for label in ("a", "b") for name in sorted(NAMES)]
        for file in files:
            (tmp_path / "photos" / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / file).touch()
        dataset = load_folder(tmp_path / "photos")
        splits = tuple(("train", "test", "validation", "train", "test")[k % 5] for k in range(len(files)))
        data = replace(small_training.data, photos=dataset.photos, splits=splits, groups=np.arange(len(files)))
        (tmp_path / "splits.csv").write_bytes(split_table(data))
        assert tuple(photo.split for photo in with_split(dataset, tmp_path / "splits.csv").photos) == splits
        assert read_splits(tmp_path / "splits.csv") == [
            SplitRow(photo.file, photo.label, split, group)
            for group, (photo, split) in enumerate(zip(dataset.photos, splits, strict=True))
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "name,part\na/1.jpg,train\n",
            "file,label,split,group\na/1.jpg,a,train,first\n",
            "file,label,split,group\na\n",
        ],
        ids=["other columns", "a group that is no number", "a short row"],
    )
    def test_what_is_no_split_table(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "splits.csv").write_text(text)
        with pytest.raises(DatasetError, match=r"with columns 'file', 'label', 'split' and 'group', at .*: train it"):
            read_splits(tmp_path / "splits.csv")


class TestConfig:
    def test_it_repeats_the_run(self, small_run: Run, small_training: TrainingResult, drawn_photos: Path) -> None:
        photos, options = read_config(small_run.folder / "config.toml")
        assert photos == str(drawn_photos.resolve())
        assert options == small_training.settings

    def test_it_says_how(self, small_run: Run) -> None:
        first = (small_run.folder / "config.toml").read_text().splitlines()[0]
        assert first == "# Repeat this run: roadclear train --config config.toml --out ANOTHER_FOLDER"

    @settings(max_examples=40, deadline=None)
    @given(
        positive=st.none() | st.text(),
        group_by=st.none() | st.text().map(re.escape),
        learning_rate=st.floats(0, 1, exclude_min=True),
        rotation=st.integers(0, 180),
        min_recall=st.none() | st.just(1) | st.floats(0.01, 1),
        group_by_page=st.booleans(),
    )
    def test_any_options_survive(self, tmp_path_factory: pytest.TempPathFactory, **values: Any) -> None:
        options = TrainSettings(**values)
        file = tmp_path_factory.mktemp("any") / "config.toml"
        file.write_bytes(config("photos", options))
        assert read_config(file)[1] == options

    @pytest.mark.parametrize(
        "name", ['quote " and \\ backslash', "two\nlines", "横断 🚸", "delete\x7f", "tab\t", "a = 1 # x"]
    )
    def test_folders_of_any_text(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "config.toml").write_bytes(config(tmp_path / name, TrainSettings()))
        assert read_config(tmp_path / "config.toml")[0] == str(tmp_path / name)

    def test_names_that_are_no_text_do_not_spoil_the_run(self, tmp_path: Path) -> None:
        """TOML is UTF-8. Other bytes are replaced, since the training is done and must be kept."""
        name = os.fsdecode(b"caf\xe9")
        (tmp_path / "config.toml").write_bytes(config(tmp_path / name, TrainSettings(weights_file=f"{name}.pt")))
        photos, read = read_config(tmp_path / "config.toml")
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
