"""train --unfreeze: the same run folder and model file as ever, from a base whose last blocks were trained."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from process import QUICK, START, environment, roadclear, run

from roadclear import RoadClassifier, load
from roadclear.data.dataset import load_folder
from roadclear.errors import OptionError
from roadclear.features.cache import clear_cache, open_cache
from roadclear.images.decode import read_photo
from roadclear.model.metadata import read_facts
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult

pytestmark = pytest.mark.slow

EPOCHS = 6
UNFREEZE = (*QUICK, "--unfreeze", "1", "--finetune-epochs", str(EPOCHS))
FILES = ("model.onnx", "history.csv", "splits.csv", "predictions.csv")


def command(photos: Path, folder: Path, *options: str) -> list[str]:
    """That trains into folder/run."""
    return [*START, "train", str(photos), "--out", str(folder / "run"), *UNFREEZE, *options]


def own_cache(folder: Path) -> dict[str, str | None]:
    return {"ROADCLEAR_CACHE_DIR": str(folder / "cache")}


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("checkpoint-*.npz"))


@pytest.fixture(scope="module")
def undisturbed(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run and the cache of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = run(command(drawn_photos, folder), env=own_cache(folder))
    assert (ended.code, ended.err) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pair(drawn_photos: Path) -> tuple[TrainingResult, TrainingResult]:
    """The same training with a frozen base and with two unfrozen blocks."""
    dataset = load_folder(drawn_photos)
    frozen, unfrozen = (TrainSettings(size=96, epochs=5, unfreeze=blocks, finetune_epochs=4) for blocks in (0, 2))
    with open_cache(None) as cache:
        return tuple(train(dataset, settings, cache) for settings in (frozen, unfrozen))  # type: ignore[return-value]


class TestResult:
    def test_the_model_file_gives_the_probabilities_that_were_judged(
        self, pair: tuple[TrainingResult, TrainingResult]
    ) -> None:
        """Up to the half precision of the cached activations; and its heatmap still splits the logit exactly."""
        training = pair[1]
        session = onnxruntime.InferenceSession(training.model, providers=["CPUExecutionProvider"])
        photos = np.stack([read_photo(photo.path, 96) for photo in training.data.photos])
        outputs = ("probability", "logit", "heatmap", "offset", "distance")
        probability, logit, heatmap, offset, distance = session.run(list(outputs), {"photo": photos})
        np.testing.assert_allclose(probability, training.probabilities, atol=0.01)
        np.testing.assert_allclose(distance, training.distances, atol=0.001)
        terms = np.abs(heatmap).sum((1, 2)) + np.abs(offset)
        assert (np.abs(heatmap.sum((1, 2), dtype=np.float64) + offset - logit) <= 2e-5 * (1 + terms)).all()

    def test_it_still_knows_what_it_does_not_know(self, pair: tuple[TrainingResult, TrainingResult]) -> None:
        """Fine-tuned layers see a label in anything; the frozen ones below them are asked."""
        session = onnxruntime.InferenceSession(pair[1].model, providers=["CPUExecutionProvider"])
        flat = np.broadcast_to(np.array([[0], [90], [180], [255]], np.uint8)[:, None, None], (4, 96, 96, 3))
        noise = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
        for photos in (np.ascontiguousarray(flat), noise):
            assert session.run(["unfamiliar"], {"photo": photos})[0].all()

    def test_it_says_that_it_was_fine_tuned_and_from_what(self, pair: tuple[TrainingResult, TrainingResult]) -> None:
        frozen, unfrozen = (read_facts(training.model) for training in pair)
        assert unfrozen.weights_name == "imagenet-finetuned"
        assert unfrozen.weights_sha256 != frozen.weights_sha256
        assert unfrozen.weights_origin.startswith(f"fine-tuned from {frozen.weights_origin}")
        assert frozen.weights_sha256 in unfrozen.weights_origin
        assert "last 2 of 17" in unfrozen.weights_origin
        assert unfrozen.training["options"]["unfreeze"] == 2

    def test_what_is_not_the_model_s_is_that_of_the_frozen_base(
        self, pair: tuple[TrainingResult, TrainingResult]
    ) -> None:
        frozen, unfrozen = pair
        assert unfrozen.data.splits == frozen.data.splits
        assert unfrozen.leakage == frozen.leakage
        assert unfrozen.linear == frozen.linear
        assert not np.array_equal(unfrozen.probabilities, frozen.probabilities)

    def test_only_photos_to_learn_from_have_augmented_views(self, pair: tuple[TrainingResult, TrainingResult]) -> None:
        """The second training finds all embeddings in the cache: it computes what the trunk makes of them, and
        that by which it knows what it knows."""
        frozen, unfrozen = pair
        learned_from = unfrozen.data.splits.count("train")
        assert frozen.timing["views"] == 48 + learned_from
        assert unfrozen.timing["views"] == 2 * 48 + unfrozen.settings.finetune_views * learned_from

    def test_the_history_is_that_of_the_fine_tuning(self, undisturbed: Path) -> None:
        with (undisturbed / "run" / "history.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert [int(row["epoch"]) for row in rows] == list(range(1, EPOCHS + 1))
        best = min(rows, key=lambda row: float(row["validation_loss"]))
        assert metrics(undisturbed)["best_epoch"] == int(best["epoch"])

    def test_the_run_tells_its_options_and_can_be_repeated(self, undisturbed: Path, tmp_path: Path) -> None:
        config = undisturbed / "run" / "config.toml"
        assert {"unfreeze = 1", f"finetune_epochs = {EPOCHS}", 'device = "auto"'} < set(config.read_text().splitlines())
        again = tmp_path / "again"
        ended = roadclear("train", "--config", config, "--out", again, "--no-report", env=own_cache(undisturbed))
        assert ended.code == 0, ended.err
        for name in FILES:
            assert (again / name).read_bytes() == (undisturbed / "run" / name).read_bytes(), name

    def test_nothing_is_left_in_the_cache_folder_but_the_cache(self, undisturbed: Path) -> None:
        assert checkpoints(undisturbed) == []


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run" / "metrics.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_it_goes_on_to_the_same_run(drawn_photos: Path, undisturbed: Path, tmp_path: Path) -> None:
    """Killed as soon as the first checkpoint is there: the epochs after it are done by another process."""
    with subprocess.Popen(
        command(drawn_photos, tmp_path), env=environment(own_cache(tmp_path)), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not checkpoints(tmp_path):
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
    (checkpoint,) = checkpoints(tmp_path)
    with np.load(checkpoint, allow_pickle=False) as arrays:
        assert 1 <= len(arrays["history"]) < EPOCHS
    ended = run(command(drawn_photos, tmp_path), env=own_cache(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    for name in FILES:
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / "run" / name).read_bytes(), name
    assert checkpoints(tmp_path) == []


def test_clearing_the_cache_clears_checkpoints(tmp_path: Path) -> None:
    left = [tmp_path / "checkpoint-0123456789abcdef.npz", tmp_path / "features.sqlite"]
    other = tmp_path / "stock-0.model"
    for path in (*left, other):
        path.touch()
    (tmp_path / "cluster-checkpoints" / "checkpoint-0123456789abcdef").mkdir(parents=True)
    clear_cache(tmp_path / "features.sqlite")
    assert list(tmp_path.iterdir()) == [other]


class TestWithoutPyTorch:
    """As it is where PyTorch is not installed."""

    MISSING = "\n".join([
        "import sys",
        "from importlib.machinery import PathFinder",
        "class AllButPyTorch(PathFinder):",
        "    @classmethod",
        "    def find_spec(cls, name, *more):",
        "        return None if name == 'torch' else super().find_spec(name, *more)",
        "sys.meta_path = [AllButPyTorch if finder is PathFinder else finder for finder in sys.meta_path]",
        START[-1],
    ])  # fmt: skip

    def test_unfreezing_says_what_to_install(self, drawn_photos: Path, tmp_path: Path) -> None:
        ended = run([*START[:-1], self.MISSING, *command(drawn_photos, tmp_path)[len(START) :]])
        assert ended.code == 1
        assert ended.error().endswith("--unfreeze needs PyTorch: pip install 'roadclear[finetune]'")
        assert list(tmp_path.iterdir()) == []

    def test_a_frozen_base_does_not_import_it(self, drawn_photos: Path, tmp_path: Path) -> None:
        watched = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {START[-1]}"
        ended = run([sys.executable, "-c", watched, "train", drawn_photos, "--out", tmp_path / "run", *QUICK])
        assert (ended.code, ended.out.splitlines()[-1]) == (0, b"False")


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("unfreeze", [-1, 18, "all", "4"]),
        ("finetune_views", [-1, 65]),
        ("finetune_seconds", [0, -1]),
        ("finetune_epochs", [0]),
        ("finetune_learning_rate", [0, 1.5]),
        ("device", ["gpu", ""]),
    ],
)
def test_values_out_of_range(option: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(OptionError, match=rf"^{option} must be .*, got {value!r}$"):
            TrainSettings(**{option: value})


def test_a_device_that_is_not_here_is_told_before_any_photo_is_read(tmp_path: Path, drawn_photos: Path) -> None:
    import torch

    name = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(OptionError, match=f"device '{name}' is not available"):
        RoadClassifier(unfreeze=1, device=name).fit_folder(drawn_photos)


def test_the_classifier_unfreezes_too(drawn_photos: Path, tmp_path: Path) -> None:
    classifier = RoadClassifier(size=96, epochs=3, views=0, unfreeze=1, finetune_epochs=3).fit_folder(drawn_photos)
    classifier.save(tmp_path / "model.onnx")
    assert load(tmp_path / "model.onnx").facts.weights_name == "imagenet-finetuned"
