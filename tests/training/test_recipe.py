"""Training: repeatable to the bit, honest about what it knows, and fair to a rare label."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from process import QUICK, START, run
from scenes import write_scenes
from trained import FAST, accuracy, placed, train_folder, train_photos

from roadclear.data.dataset import load_folder
from roadclear.errors import OptionError, WeightsError
from roadclear.features.cache import open_cache
from roadclear.features.precision import resolve_precision
from roadclear.training.config import TrainSettings
from roadclear.training.crosschecks import crosscheck
from roadclear.training.recipe import train
from roadclear.utils import rows

pytestmark = pytest.mark.slow


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

    def test_from_a_moved_copy_of_the_folder(self, drawn_photos: Path, reference: Path, tmp_path: Path) -> None:
        cache = {"ROADCLEAR_CACHE_DIR": str(tmp_path / "cache")}
        copy = shutil.copytree(drawn_photos, tmp_path / "photos")
        assert_same_run(trained(copy, tmp_path / "run", cache), reference)

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
        training = train_photos(dataset, photos, self.OPTIONS)
        for evaluation in (training.evaluations["test"], training.linear["test"]):
            assert 0.35 < evaluation.metrics["roc_auc"].value < 0.65
            assert 0.35 < evaluation.metrics["balanced_accuracy"].value < 0.65

    def test_the_threshold_is_chosen_without_the_test_photos(self, drawn_photos: Path) -> None:
        """Swapping the labels of the test photos changes what is measured there, and nothing else."""
        dataset = load_folder(drawn_photos)
        split_of = {one.photo.file: one.split for one in placed(train_folder(drawn_photos))}
        fixed = [replace(photo, split=split_of[photo.file]) for photo in dataset.photos]
        other = {"crossing": "empty", "empty": "crossing"}
        swapped = [replace(p, label=other[p.label]) if p.split == "test" else p for p in fixed]
        honest, lied_to = train_photos(dataset, fixed), train_photos(dataset, swapped)
        assert lied_to.facts.threshold == honest.facts.threshold
        assert lied_to.probabilities.tolist() == honest.probabilities.tolist()
        assert accuracy(lied_to) == pytest.approx(1 - accuracy(honest))


@pytest.mark.parametrize("rare", ["crossing", "empty"])
def test_a_rare_label_is_not_drowned(tmp_path: Path, rare: str) -> None:
    """Six of one label to one of the other: at even odds, both are still found."""
    write_scenes(tmp_path, 72)
    for photo in sorted(tmp_path.glob(f"{rare}/*.jpg"))[12:]:
        photo.unlink()
    training = train_folder(tmp_path, TrainSettings(size=96, views=0, epochs=30))
    for label in ("crossing", "empty"):
        of_label = [one for one in placed(training) if one.photo.label == label]
        assert np.mean([(one.probability > 0.5) == (label == "crossing") for one in of_label]) > 0.8, label


def test_only_training_photos_are_augmented(drawn_photos: Path) -> None:
    """Every usable photo once, and three views of the training photos."""
    settings = TrainSettings(size=64, views=3, epochs=1, rotation=7.5)
    with open_cache(None) as cold:
        training = train(load_folder(drawn_photos), settings, cold)
    assert training.timing["views"] == 48 + 3 * training.data.splits.count("train")


def test_what_was_resolved_is_in_the_settings(drawn_photos: Path) -> None:
    training = train_folder(drawn_photos, replace(FAST, positive=None, precision="auto"))
    resolved = resolve_precision("auto", FAST.engine)
    assert resolved in ("f32", "mixed")
    assert training.settings == replace(FAST, positive="crossing", precision=resolved)
    assert (training.facts.positive, training.facts.negative) == ("crossing", "empty")


@pytest.mark.parametrize("name", ["no such weights", ""])
def test_unknown_weights_are_refused(drawn_photos: Path, name: str) -> None:
    with pytest.raises((WeightsError, OptionError)):
        train_folder(drawn_photos, TrainSettings(weights=name))


def test_progress_names_every_stage(drawn_photos: Path) -> None:
    reported: list[tuple[str, int, int]] = []
    settings = replace(FAST, views=1, epochs=2, patience=5)
    with open_cache(None) as cold:
        train(load_folder(drawn_photos), settings, cold, lambda *progress: reported.append(progress))
    stages = list(dict.fromkeys(stage for stage, _, _ in reported))
    assert stages == ["Reading photos", "Augmenting", "Training"]
    assert [(done, total) for stage, done, total in reported if stage == "Training"] == [(1, 2), (2, 2)]


def test_embeddings_in_a_file_give_the_same_model(
    drawn_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(size=32, epochs=3, views=1, positive="crossing")
    with open_cache(tmp_path / "features.sqlite") as cache:
        in_memory = train(load_folder(drawn_photos), settings, cache)
        monkeypatch.setattr(rows, "MOST_IN_MEMORY", 5)
        from_file = train(load_folder(drawn_photos), settings, cache)
    assert isinstance(from_file.data.embeddings, rows.StoredRows)
    assert from_file.model == in_memory.model
    np.testing.assert_array_equal(from_file.probabilities, in_memory.probabilities)
    assert crosscheck(from_file) == crosscheck(in_memory)
