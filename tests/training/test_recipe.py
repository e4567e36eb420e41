"""Training: repeatable to the bit, fair between its parts, and clear about what it was not given."""

import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import make_corpus
from process import QUICK, START, run
from scenes import write_scenes

from roadclear.data.dataset import LabelledPhoto, load_folder
from roadclear.errors import DatasetError, OptionError, WeightsError
from roadclear.features.cache import open_cache
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.paths import default_cache_path

# Where a test run renews the warning filters, what Pillow has to say about broken metadata is shown again.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

FAST = TrainSettings(size=96, views=0, epochs=5)


def train_folder(folder: Path, options: TrainSettings = FAST, positive: str = "crossing") -> TrainingResult:
    dataset = load_folder(folder)
    return train_photos(dataset.photos, options, dataset.labels, positive)


def train_photos(
    photos: Sequence[LabelledPhoto],
    options: TrainSettings = FAST,
    labels: tuple[str, str] = ("crossing", "empty"),
    positive: str = "crossing",
) -> TrainingResult:
    with open_cache(default_cache_path()) as cache:
        return train(photos, labels, positive, options, cache)


@pytest.fixture
def own_photos(drawn_photos: Path, tmp_path: Path) -> Path:
    """A copy of the drawn photos to do with as a test likes."""
    return shutil.copytree(drawn_photos, tmp_path / "photos")


@pytest.fixture(scope="module")
def reference(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an undisturbed training on a cold cache."""
    folder = tmp_path_factory.mktemp("reference")
    return trained(drawn_photos, folder / "run", {"ROADCLEAR_CACHE_DIR": str(folder / "cache")})


class TestRepeatable:
    """The same photos, options and seed give the same model and numbers, whatever else differs."""

    def test_on_a_warm_cache(self, drawn_photos: Path, reference: Path, tmp_path: Path) -> None:
        cache = {"ROADCLEAR_CACHE_DIR": str(reference.parent / "cache")}
        assert_same_run(trained(drawn_photos, tmp_path / "run", cache), reference)

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
    def test_on_one_core(self, drawn_photos: Path, reference: Path, tmp_path: Path) -> None:
        cache = {"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}
        pinned = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + START[-1]
        assert_same_run(trained(drawn_photos, tmp_path / "run", cache, pinned), reference)

    @pytest.mark.parametrize("threads", ["1", "4"])
    def test_with_another_number_of_threads_and_hash_seed(
        self, drawn_photos: Path, reference: Path, tmp_path: Path, threads: str
    ) -> None:
        changes = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        changes["ROADCLEAR_CACHE_DIR"] = str(tmp_path / "cache")
        assert_same_run(trained(drawn_photos, tmp_path / "run", changes), reference)

    def test_from_a_moved_copy_of_the_folder(self, own_photos: Path, reference: Path, tmp_path: Path) -> None:
        cache = {"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}
        assert_same_run(trained(own_photos, tmp_path / "run", cache), reference)

    def test_another_seed_gives_another_model(self, drawn_photos: Path) -> None:
        first, second = (train_folder(drawn_photos, replace(FAST, seed=s)) for s in (0, 1))
        assert first.model != second.model


def trained(photos: Path, out: Path, env: Mapping[str, str | None], program: str = START[-1]) -> Path:
    """The run folder of a training in a process of its own."""
    ended = run([*START[:-1], program, "train", photos, "--out", out, *QUICK], env=env)
    assert ended.code == 0, ended.err
    return out


def assert_same_run(one: Path, other: Path) -> None:
    """All but the time it took, and where the photos lay."""
    for name in ("model.onnx", "history.csv", "splits.csv", "predictions.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    first, second = (json.loads((run / "metrics.json").read_text()) for run in (one, other))
    del first["timing"], second["timing"]
    assert first == second
    first_lines, second_lines = ((run / "config.toml").read_text().splitlines() for run in (one, other))
    assert [line for line in first_lines if "photos =" not in line] == [
        line for line in second_lines if "photos =" not in line
    ]


class TestSplit:
    def test_copies_of_a_photo_stay_together(self, own_photos: Path) -> None:
        """Every photo three times, under other names: each content lies in one part."""
        for photo in sorted(own_photos.glob("*/*.jpg")):
            for copy in ("copy", "another copy"):
                shutil.copy(photo, photo.with_name(f"{copy} of {photo.name}"))
        training = train_folder(own_photos)
        assert len(placed(training)) == 144
        assert all(len(parts) == 1 for parts in parts_by(training, lambda p: p.path.read_bytes()).values())
        assert min(Counter(p.group for p in placed(training)).values()) >= 3

    def test_scenes_of_the_manifest_stay_together(self, own_photos: Path) -> None:
        """Twelve scenes of four photos, two of each label."""
        files = [sorted(own_photos.glob(f"{label}/*.jpg")) for label in ("crossing", "empty")]
        scene_of = {
            path.relative_to(own_photos).as_posix(): f"scene {i // 2}"
            for paths in files
            for i, path in enumerate(paths)
        }
        with (own_photos / "manifest.csv").open("w", newline="") as lines:
            csv.writer(lines).writerows([("file", "scene"), *scene_of.items()])
        training = train_folder(own_photos)
        parts = parts_by(training, lambda p: scene_of[p.file])
        assert len(parts) == 12
        assert all(len(found) == 1 for found in parts.values())

    @pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation"])
    def test_folders_that_name_parts_are_honoured(self, tmp_path: Path, validation: str) -> None:
        for number, (part, n) in enumerate([("train", 12), (validation, 4), ("test", 4)]):
            write_scenes(tmp_path / part, n, seed=number)
        training = train_folder(tmp_path)
        parts = {"train": "train", validation: "validation", "test": "test"}
        assert all(p.split == parts[p.photo.file.split("/")[0]] for p in placed(training))
        assert len(placed(training)) == 40

    def test_only_training_photos_are_augmented(self, drawn_photos: Path) -> None:
        """Every usable photo once, and three views of those in the training part."""
        options = TrainSettings(size=64, views=3, epochs=1, rotation=7.5)
        dataset = load_folder(drawn_photos)
        with open_cache(None) as cold:
            training = train(dataset.photos, dataset.labels, "crossing", options, cold)
        in_training = sum(p.split == "train" for p in placed(training))
        assert training.timing["views"] == 48 + 3 * in_training

    def test_the_threshold_is_chosen_without_the_test_part(self, drawn_photos: Path) -> None:
        """Swapping the labels of the test photos changes what is measured there, and nothing else."""
        dataset = load_folder(drawn_photos)
        plain = train_photos(dataset.photos)
        split_of = {p.photo.file: p.split for p in placed(plain)}
        fixed = [replace(photo, split=split_of[photo.file]) for photo in dataset.photos]
        other = {"crossing": "empty", "empty": "crossing"}
        swapped = [replace(p, label=other[p.label]) if p.split == "test" else p for p in fixed]
        honest, lied_to = train_photos(fixed), train_photos(swapped)
        assert lied_to.facts.threshold == honest.facts.threshold
        assert [p.probability for p in placed(lied_to)] == [p.probability for p in placed(honest)]
        assert accuracy(lied_to) == pytest.approx(1 - accuracy(honest))


def parts_by(training: TrainingResult, key: Any) -> dict[Any, set[str]]:
    found: dict[Any, set[str]] = {}
    for p in placed(training):
        found.setdefault(key(p.photo), set()).add(p.split)
    return found


@dataclass(frozen=True)
class Placed:
    """A usable photo, and what became of it."""

    photo: LabelledPhoto
    split: str
    group: int
    probability: float


def placed(training: TrainingResult) -> list[Placed]:
    placement = training.data
    columns = placement.photos, placement.splits, placement.groups.tolist(), training.probabilities.tolist()
    return [Placed(*row) for row in zip(*columns, strict=True)]


def accuracy(training: TrainingResult, part: str = "test") -> float:
    return training.evaluations[part].metrics["accuracy"].value


class TestHonesty:
    """On real photos the model knows something, and what it claims to know is not read off the test photos."""

    OPTIONS = TrainSettings(views=0, epochs=30)

    def test_real_photos_are_told_apart(self, roads: Path) -> None:
        training = train_folder(roads, self.OPTIONS)
        assert training.data.skipped == ()
        assert accuracy(training) > 0.85
        assert training.linear["test"].metrics["accuracy"].value > 0.85
        assert training.evaluations["test"].metrics["roc_auc"].value > 0.93

    def test_drawn_lots_for_labels_cannot_be_learned(self, roads: Path) -> None:
        """Were a test photo, its copy or its scene among the training photos, the accuracy would show it."""
        dataset = load_folder(roads)
        lots = np.random.default_rng(0).permutation([photo.label for photo in dataset.photos])
        photos = [replace(photo, label=str(label)) for photo, label in zip(dataset.photos, lots, strict=True)]
        training = train_photos(photos, self.OPTIONS)
        for evaluation in (training.evaluations["test"], training.linear["test"]):
            assert 0.35 < evaluation.metrics["roc_auc"].value < 0.65
            assert 0.35 < evaluation.metrics["balanced_accuracy"].value < 0.65


class TestInput:
    def test_photos_that_cannot_be_used_are_skipped_and_listed(self, own_photos: Path) -> None:
        """Files of every kind among the photos: each is used or listed with its reason, none is passed over."""
        corpus = make_corpus(into(own_photos / "empty" / "corpus"))
        on_disk = [case for case in corpus if os.path.lexists(case.path)]
        training = train_folder(own_photos)
        used = {p.photo.path for p in placed(training)}
        listed = {photo.file: photo.reason for photo in training.data.skipped}
        assert len(used) + len(listed) == 48 + len(on_disk)
        for case in on_disk:
            if case.outcome.reason is None:
                assert case.path in used
            else:
                reason = listed[case.path.relative_to(own_photos)]
                assert re.search(case.outcome.reason, reason), (case.path, reason)
                assert reason.isprintable()

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            ([], "found none: make one folder a label"),
            (["empty"], r"found 1 \('empty'\): add a folder of the other label"),
            (["crossing", "empty", "unsure"], r"found 3 .*: move the others away"),
        ],
    )
    def test_other_than_two_labels_are_refused_with_advice(
        self, own_photos: Path, tmp_path: Path, labels: list[str], reason: str
    ) -> None:
        root = into(tmp_path / "root")
        for label in labels:
            shutil.copytree(own_photos / "empty", root / label)
        with pytest.raises(DatasetError, match=reason):
            train_folder(root)

    def test_fewer_than_ten_photos_are_refused_with_advice(self, own_photos: Path) -> None:
        for photo in sorted(own_photos.glob("empty/*.jpg"))[9:]:
            photo.write_bytes(b"")
        with pytest.raises(DatasetError, match=r"at least 10 readable photos .* found 9 of 'empty': add photos"):
            train_folder(own_photos)

    def test_ten_of_each_will_do(self, tmp_path: Path) -> None:
        training = train_folder(write_scenes(tmp_path / "few", 10))
        assert set(Counter(p.split for p in placed(training))) == {"train", "validation", "test"}

    def test_one_scene_for_all_cannot_be_split(self, own_photos: Path) -> None:
        dataset = load_folder(own_photos)
        photos = [replace(photo, scene="the only one") for photo in dataset.photos]
        with pytest.raises(DatasetError, match="add photos from more places"):
            train_photos(photos)

    def test_a_photo_under_both_labels_is_used_and_stays_in_one_part(self, own_photos: Path) -> None:
        shutil.copy(own_photos / "crossing/crossing-000.jpg", own_photos / "empty/same.jpg")
        training = train_folder(own_photos)
        both = [p for p in placed(training) if p.photo.file in ("crossing/crossing-000.jpg", "empty/same.jpg")]
        assert len(both) == 2
        assert both[0].split == both[1].split and both[0].group == both[1].group

    @pytest.mark.parametrize("rare", ["crossing", "empty"])
    def test_a_rare_label_is_not_drowned(self, tmp_path: Path, rare: str) -> None:
        """Six of one label to one of the other: at even odds, both are still found."""
        write_scenes(tmp_path, 72)
        for photo in sorted(tmp_path.glob(f"{rare}/*.jpg"))[12:]:
            photo.unlink()
        training = train_folder(tmp_path, TrainSettings(size=96, views=0, epochs=30))
        for label in ("crossing", "empty"):
            right = [(p.probability > 0.5) == (label == "crossing") for p in placed(training) if p.photo.label == label]
            assert np.mean(right) > 0.8, label

    @pytest.mark.parametrize("name", ["no such weights", ""])
    def test_unknown_weights_are_refused(self, drawn_photos: Path, name: str) -> None:
        with pytest.raises((WeightsError, OptionError)):
            train_folder(drawn_photos, TrainSettings(weights=name))


def into(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
