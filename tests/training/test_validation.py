"""validate: every fold judged by what a training on the others gives, with a frozen base and with unfrozen blocks."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadclear.data.dataset import Dataset, load_folder
from roadclear.data.folds import Fold, draw_folds
from roadclear.data.split import SHARES, TEST, TRAIN, VALIDATION
from roadclear.errors import OptionError
from roadclear.features.cache import open_cache
from roadclear.report.starts import left_out_sentence, seen_in_folds_warning
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.training.validation import Validation, validate, validation_values, write_validation
from roadclear.utils.progress import ProgressCallback, no_progress

pytestmark = pytest.mark.slow

BLOCKS, EPOCHS = 2, 3
FROZEN = TrainSettings(size=64, epochs=4, finetune_epochs=EPOCHS, finetune_views=1)
TUNED = replace(FROZEN, unfreeze=BLOCKS)
Told = list[tuple[str, int, int]]


def validated(
    photos: Path, cache: Path, settings: TrainSettings, progress: ProgressCallback = no_progress
) -> Validation:
    """Two folds, once."""
    with open_cache(cache) as features:
        return validate(load_folder(photos), settings, features, 2, 1, progress)


def trained(validation: Validation, dataset: Dataset, fold: Fold, cache: Path) -> TrainingResult:
    """What `train` gives on the splits of a fold."""
    splits = {**dict.fromkeys(fold.train, TRAIN), **dict.fromkeys(fold.validation, VALIDATION)}
    photos = tuple(replace(photo, split=splits.get(i, TEST)) for i, photo in enumerate(validation.data.photos))
    with open_cache(cache) as features:
        return train(replace(dataset, photos=photos), replace(validation.settings, seed=fold.seed), features)


def epochs(told: Told) -> list[tuple[int, int]]:
    """What was told of fine-tuning: epochs done, and how many there are."""
    return [(done, total) for stage, done, total in told if stage == f"Fine-tuning {BLOCKS} blocks"]


def checkpoints(cache: Path) -> list[Path]:
    return sorted(cache.parent.glob("checkpoint-*.npz"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("validated") / "features.sqlite"


@pytest.fixture(scope="module")
def frozen(drawn_photos: Path, cache: Path) -> Validation:
    return validated(drawn_photos, cache, FROZEN)


class TestFrozenBase:
    def test_folds_are_judged_by_heads_on_its_embeddings_whatever_is_said_of_fine_tuning(
        self, frozen: Validation, drawn_photos: Path, cache: Path
    ) -> None:
        unused = {"finetune_epochs": 7, "finetune_views": 3, "finetune_learning_rate": 0.1, "device": "mps"}
        plain = validated(drawn_photos, cache, replace(FROZEN, views=0, **unused))
        sample = CrossValidationData(frozen.data.embeddings, (), frozen.data.targets, frozen.data.groups)
        expected = cross_validate(sample, replace(FROZEN, head="dense"), 2, 1)
        assert np.array_equal(plain.crossed.by_repeat, expected.by_repeat)
        assert plain.crossed.metrics == expected.metrics

    def test_splits_that_are_prescribed_are_ignored(self, frozen: Validation, drawn_photos: Path, cache: Path) -> None:
        dataset = load_folder(drawn_photos)
        prescribed = tuple(replace(photo, split=TRAIN) for photo in dataset.photos)
        with open_cache(cache) as features:
            again = validate(replace(dataset, photos=prescribed), FROZEN, features, 2, 1)
        assert np.array_equal(again.crossed.by_repeat, frozen.crossed.by_repeat)

    def test_the_files_tell_of_every_photo_and_share(self, frozen: Validation, tmp_path: Path) -> None:
        write_validation(tmp_path / "validation", frozen)
        with (tmp_path / "validation" / "out_of_fold.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert [row["file"] for row in rows] == [photo.file for photo in frozen.data.photos]
        assert [float(row["probability"]) for row in rows] == frozen.crossed.probability.tolist()
        assert [row["correct"] == "yes" for row in rows] == frozen.crossed.correct.tolist()
        with (tmp_path / "validation" / "learning_curve.csv").open(newline="") as lines:
            assert [float(row["share"]) for row in csv.DictReader(lines)] == [point.share for point in frozen.curve]
        values = json.loads((tmp_path / "validation" / "validation.json").read_text())
        assert values["metrics"].keys() == frozen.crossed.metrics.keys()
        assert [point["photos"] for point in values["learning_curve"]["points"]] == [p.photos for p in frozen.curve]

    def test_it_says_that_nothing_is_unfrozen(self, frozen: Validation) -> None:
        assert validation_values(frozen)["unfrozen"] == 0


class TestFineTuned:
    @pytest.fixture(scope="class")
    @staticmethod
    def told() -> Told:
        """The progress of the fixture below."""
        return Told()

    @pytest.fixture(scope="class")
    @staticmethod
    def tuned(drawn_photos: Path, cache: Path, told: Told) -> Validation:
        pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")
        return validated(drawn_photos, cache, TUNED, lambda *progress: told.append(progress))

    def test_photos_are_judged_by_a_training_that_tested_on_them(
        self, tuned: Validation, drawn_photos: Path, cache: Path
    ) -> None:
        folds = draw_folds(tuned.data.targets, tuned.data.groups, 2, 1, TUNED.seed)
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(48))
        for fold, judged in zip(folds, tuned.crossed.evaluations, strict=True):
            training = trained(tuned, load_folder(drawn_photos), fold, cache)
            assert tuned.crossed.by_repeat[0, fold.test] == pytest.approx(training.probabilities[fold.test], abs=1e-5)
            assert judged.threshold == pytest.approx(training.facts.threshold, abs=1e-5)

    def test_the_frozen_base_judges_otherwise(self, tuned: Validation, frozen: Validation) -> None:
        assert not np.allclose(tuned.crossed.by_repeat, frozen.crossed.by_repeat, atol=0.001)

    def test_the_curve_is_that_of_the_frozen_base(self, tuned: Validation, frozen: Validation) -> None:
        assert tuned.curve == frozen.curve

    def test_it_says_how_many_blocks_are_unfrozen(self, tuned: Validation) -> None:
        assert validation_values(tuned)["unfrozen"] == BLOCKS
        assert tuned.unfrozen == (BLOCKS, BLOCKS)

    def test_progress_counts_epochs_over_all_folds(self, tuned: Validation, told: Told) -> None:
        assert epochs(told) == [(done, 2 * EPOCHS) for done in range(1, 2 * EPOCHS + 1)]
        assert [done for stage, done, total in told if stage == "Cross-validating"] == [0, 1, 2]

    def test_nothing_is_left_in_the_cache_folder_but_the_cache(self, tuned: Validation, cache: Path) -> None:
        assert checkpoints(cache) == []

    def test_ended_in_its_second_fold_it_goes_on_there_to_the_same(
        self, tuned: Validation, drawn_photos: Path, cache: Path
    ) -> None:
        before, after = Told(), Told()

        def interrupt(*progress: Any) -> None:
            before.append(progress)
            if len(epochs(before)) > EPOCHS:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            validated(drawn_photos, cache, TUNED, interrupt)
        assert len(checkpoints(cache)) == 2
        again = validated(drawn_photos, cache, TUNED, lambda *progress: after.append(progress))
        assert np.array_equal(again.crossed.by_repeat, tuned.crossed.by_repeat)
        assert np.array_equal(again.crossed.threshold, tuned.crossed.threshold)
        assert epochs(before) + epochs(after) == [(done, 2 * EPOCHS) for done in range(1, 2 * EPOCHS + 1)]
        assert checkpoints(cache) == []


def test_a_device_that_is_not_here_is_told_before_any_photo_is_read(drawn_photos: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")
    name = "mps" if torch.cuda.is_available() else "cuda"
    told: list[str] = []
    with pytest.raises(OptionError, match=f"device '{name}' is not available"):
        validated(drawn_photos, tmp_path / "cache", replace(TUNED, device=name), lambda stage, *_: told.append(stage))
    assert told == []


def test_every_fold_chooses_its_number_of_blocks(drawn_photos: Path, cache: Path) -> None:
    pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")
    settings = replace(FROZEN, unfreeze="auto", finetune_epochs=1, finetune_views=0, finetune_seconds=1e-3)
    chosen = validated(drawn_photos, cache, settings)
    values = validation_values(chosen)
    assert values["unfrozen"] == "auto"
    assert values["unfrozen_by_fold"] == list(chosen.unfrozen)
    assert len(chosen.unfrozen) == 2
    folds = draw_folds(chosen.data.targets, chosen.data.groups, 2, 1, settings.seed)
    for fold, blocks in zip(folds, chosen.unfrozen, strict=True):
        training = trained(chosen, load_folder(drawn_photos), fold, cache)
        assert training.settings.unfreeze == blocks
        assert [trial.blocks for trial in training.trials] == [0, 4]
        assert chosen.crossed.by_repeat[0, fold.test] == pytest.approx(training.probabilities[fold.test], abs=1e-5)
    assert checkpoints(cache) == []


class TestEarlierModel:
    """Photos that the start has seen are not tested, or the numbers are said to be too good."""

    @staticmethod
    def started(photos: Path, folder: Path, seen: Dataset, shares: Mapping[str, float]) -> Validation:
        """Cross-validate on all photos from a model of some."""
        with open_cache(folder / "cache") as features:
            earlier = train(seen, FROZEN, features, shares=shares)
        (folder / "model.onnx").write_bytes(earlier.model)
        return validated(photos, folder / "cache", replace(FROZEN, weights=str(folder / "model.onnx")))

    def test_seen_photos_are_left_out(self, drawn_photos: Path, tmp_path: Path) -> None:
        dataset = load_folder(drawn_photos)
        some = replace(dataset, photos=tuple(dataset.photos[number] for number in [*range(12), *range(24, 36)]))
        result = self.started(drawn_photos, tmp_path, some, SHARES)
        assert 0 < result.left_out == 48 - len(result.data.photos)
        assert not result.data.seen.any()
        told = validation_values(result)
        assert told["start"]["seen"] == {"left_out": result.left_out, "tested": 0}
        assert left_out_sentence(result).startswith(f"{result.left_out} other photos are not tested")
        assert seen_in_folds_warning(result) == ""
        assert result.curve

    def test_where_too_few_others_remain_they_are_counted(self, drawn_photos: Path, tmp_path: Path) -> None:
        shares = {TRAIN: 0.8, VALIDATION: 0.2}
        result = self.started(drawn_photos, tmp_path, load_folder(drawn_photos), shares)
        assert (result.left_out, int(result.data.seen.sum())) == (0, 48)
        assert "48 of the 48 photos" in seen_in_folds_warning(result)
        assert left_out_sentence(result) == ""
