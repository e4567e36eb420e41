"""A training that starts from an earlier model: from its backbone and head, and on no photo that the model has seen."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from process import START, run
from scenes import write_scenes
from trained import train_dataset, train_folder

from roadclear.data.dataset import Dataset, load_folder
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING, trunk_output
from roadclear.features.cache import open_cache
from roadclear.model.decision.validation_scores import CROSS_VALIDATION
from roadclear.model.heads import probabilities
from roadclear.model.metadata import read_facts
from roadclear.model.onnx_parts import read_parts
from roadclear.model.predictor import Model
from roadclear.report.headline import headline
from roadclear.report.messages import cross_validation_sentence
from roadclear.report.starts import seen_warning, start_sentences
from roadclear.training.config import TrainSettings
from roadclear.training.cross_fit import frozen_scores
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.crosschecks import FOLDS, crosscheck
from roadclear.training.estimator import RoadClassifier
from roadclear.training.result import TrainingResult
from roadclear.training.run_files import metrics
from roadclear.training.run_folder import Run
from roadclear.training.session import Session, SessionNumbers

pytestmark = pytest.mark.slow


def some_of(dataset: Dataset, per_label: slice) -> Dataset:
    photos = [[photo for photo in dataset.photos if photo.label == label][per_label] for label in dataset.labels]
    return replace(dataset, photos=tuple(photo for each in photos for photo in each))


@pytest.fixture(scope="module")
def earlier(drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the first twelve photos of each label."""
    training = train_dataset(some_of(load_folder(drawn_photos), slice(12)))
    return Run.save(tmp_path_factory.mktemp("earlier") / "first", drawn_photos, training)


@pytest.fixture(scope="module")
def settings(earlier: Run) -> TrainSettings:
    return TrainSettings(views=0, epochs=5, weights=str(earlier.folder))


@pytest.fixture(scope="module")
def further(drawn_photos: Path, settings: TrainSettings) -> TrainingResult:
    """A training on all photos, from that run."""
    return train_folder(drawn_photos, settings)


class TestFrozenStart:
    def test_it_has_the_size_and_backbone_of_the_start(self, further: TrainingResult, earlier: Run) -> None:
        facts = read_facts(earlier.model_file.read_bytes())
        assert further.settings.size == further.facts.size == facts.size == 96
        assert further.facts.weights_sha256 == facts.weights_sha256
        assert further.facts.weights_origin == facts.weights_origin

    def test_another_size_may_be_asked_for(self, drawn_photos: Path, settings: TrainSettings) -> None:
        assert train_folder(drawn_photos, replace(settings, size=64)).facts.size == 64

    def test_only_the_output_layer_of_its_head_changes(self, further: TrainingResult, earlier: Run) -> None:
        data, facts = earlier.model_file.read_bytes(), earlier.model.facts
        before, after = (
            read_parts(model, "0" * 64, facts).head for model in (data, further.model)
        )  # fmt: skip
        assert np.array_equal(vars(before)["hidden_kernel"], vars(after)["hidden_kernel"])
        assert not np.array_equal(vars(before)["output_kernel"], vars(after)["output_kernel"])
        assert "Only the output layer of its head was adapted" in start_sentences(further)

    def test_photos_that_the_start_has_seen_are_training_photos(self, further: TrainingResult, earlier: Run) -> None:
        known = earlier.model.facts.trained_on
        assert known is not None
        splits = {
            split for split, sha256 in zip(further.data.splits, further.data.hashes, strict=True) if sha256 in known
        }
        assert splits == {TRAIN}
        assert seen_warning(further) == ""
        seen = int(further.data.seen.sum())
        assert metrics(further)["start"]["seen"] == {TRAIN: seen, VALIDATION: 0, TEST: 0}
        assert f"It has seen {seen} of the photos, which are training photos here." in start_sentences(further)

    def test_its_file_names_the_start_and_knows_both_trainings_photos(
        self, further: TrainingResult, earlier: Run, drawn_photos: Path
    ) -> None:
        facts, data = Model(further.model).facts, earlier.model_file.read_bytes()
        assert facts.training["start"] == {"name": "first", "sha256": hashlib.sha256(data).hexdigest()}
        first = earlier.model.facts.trained_on
        assert facts.trained_on is not None
        assert first is not None
        assert facts.trained_on.earlier == (first,)
        assert first.find(load_folder(drawn_photos).photos) <= facts.trained_on.find(load_folder(drawn_photos).photos)

    def test_it_predicts_what_was_measured(self, further: TrainingResult) -> None:
        photo = further.data.photos[0]
        assert Model(further.model).predict(photo.path).probability == pytest.approx(further.probabilities[0], abs=1e-4)

    def test_the_other_positive_label_turns_it_around(
        self, drawn_photos: Path, settings: TrainSettings, further: TrainingResult
    ) -> None:
        turned = train_folder(drawn_photos, replace(settings, positive="empty"))
        assert turned.probabilities == pytest.approx(1 - further.probabilities, abs=0.05)

    def test_other_labels_get_a_new_head(self, tmp_path: Path, settings: TrainSettings) -> None:
        photos = write_scenes(tmp_path / "photos", per_label=12, seed=500)
        (photos / "crossing").rename(photos / "helmet")
        training = train_folder(photos, settings)
        assert "The head is new, because the start has other labels." in start_sentences(training)
        assert len(training.head.trained.history) > 1

    def test_another_kind_of_head_is_new(self, drawn_photos: Path, settings: TrainSettings) -> None:
        training = train_folder(drawn_photos, replace(settings, head="linear"))
        assert "The head is new, because the start has a dense head." in start_sentences(training)

    def test_a_prescribed_split_is_kept_and_what_was_seen_is_counted(
        self, drawn_photos: Path, settings: TrainSettings
    ) -> None:
        dataset = load_folder(drawn_photos)
        order = (TEST, VALIDATION, TRAIN, TRAIN)
        photos = tuple(
            replace(photo, split=order[number % len(order)]) for number, photo in enumerate(dataset.photos)
        )  # fmt: skip
        training = train_dataset(replace(dataset, photos=photos), settings)
        assert training.data.splits == tuple(photo.split for photo in photos)
        assert training.data.seen[training.data.is_in(TEST)].any()
        assert "The numbers on them are too good." in seen_warning(training)
        assert headline(training, None).warnings[0] == seen_warning(training)


class TestAdaptedHead:
    """Where a training only adapts the head of the start, the same is cross-validated, on photos new to the start."""

    def test_the_promise_is_about_the_adapted_head_on_all_new_photos(self, further: TrainingResult) -> None:
        data, scores = further.data, further.head.scores
        new = ~(data.is_in(TEST) | data.familiar)
        assert scores.origin == CROSS_VALIDATION
        assert scores.photos == tuple(int((data.targets[new] == label).sum()) for label in (1, 0))
        assert scores == frozen_scores(data, further.settings)

    def test_the_accuracy_is_that_of_the_adapted_head(self, further: TrainingResult) -> None:
        found = crosscheck(further, with_curve=False)
        assert found is not None
        crossed = found.cross_validated
        new = further.data.without(further.data.familiar)
        start = new.head_of_start("dense")
        sample = CrossValidationData(new.embeddings, (), new.targets, new.groups, start)
        assert (crossed.of, crossed.accuracy.n) == ("adapted", len(new.photos))
        assert crossed.accuracy == cross_validate(sample, further.settings, FOLDS, repeats=1).metrics["accuracy"]
        assert "the head of the earlier model, adapted in each fold, is right on" in cross_validation_sentence(crossed)
        lead = headline(further, crossed).lead
        assert "in cross-validation;" in lead and "linear" not in lead

    def test_another_head_and_a_fine_tuned_base_have_the_linear_head(self, further: TrainingResult) -> None:
        for chosen in (replace(further.settings, head="linear"), replace(further.settings, unfreeze=4)):
            found = crosscheck(replace(further, settings=chosen), with_curve=False)
            assert found is not None and found.cross_validated.of == "linear"
        assert frozen_scores(further.data, replace(further.settings, head="linear")) is None

    def test_too_few_new_groups_have_no_scores(self, further: TrainingResult) -> None:
        data = further.data
        alike = replace(data, groups=np.where(data.familiar, 2, data.targets).astype(np.intp))
        assert frozen_scores(alike, further.settings) is None


class TestFineTunedStart:
    @pytest.fixture(scope="class")
    @staticmethod
    def tuned(drawn_photos: Path, settings: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A model that was fine-tuned from the first run."""
        pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")
        some = some_of(load_folder(drawn_photos), slice(12))
        training = train_dataset(some, replace(settings, unfreeze=5, finetune_epochs=1, finetune_views=0))
        path = tmp_path_factory.mktemp("tuned") / "tuned.onnx"
        path.write_bytes(training.model)
        assert any("leave --unfreeze out" in warning for warning in headline(training, None).warnings)
        return path

    def test_distances_are_measured_below_all_that_was_ever_trained(self, drawn_photos: Path, tuned: Path) -> None:
        training = train_folder(drawn_photos, TrainSettings(views=0, weights=str(tuned)))
        assert training.settings.unfreeze == 0
        assert training.ood.tensor == trunk_output(5) != EMBEDDING
        photo = training.data.photos[0].path
        assert Model(training.model).predict(photo).distance == pytest.approx(training.distances[0], abs=2e-3)

    def test_auto_leaves_the_base_alone_where_there_are_few_photos(self, drawn_photos: Path, tuned: Path) -> None:
        training = train_folder(drawn_photos, TrainSettings(views=0, weights=str(tuned), unfreeze="auto"))
        assert (training.settings.unfreeze, training.trials) == (0, ())

    def test_names_and_origins_do_not_grow(self, drawn_photos: Path, tuned: Path) -> None:
        again = TrainSettings(views=0, weights=str(tuned), unfreeze=1, finetune_epochs=1, finetune_views=0)
        facts = train_folder(drawn_photos, again).facts
        assert facts.weights_name == "imagenet-finetuned"
        assert facts.weights_origin.count("fine-tuned") == 2
        assert "(MIT), fine-tuned in earlier trainings, SHA-256" in facts.weights_origin

    def test_its_features_are_cached_by_its_own_weights(
        self, drawn_photos: Path, settings: TrainSettings, tuned: Path
    ) -> None:
        keys = {
            train_folder(drawn_photos, replace(settings, weights=str(weights))).data.extractor.space.key
            for weights in (settings.weights, tuned)
        }
        assert len(keys) == 2


def test_a_run_is_repeated_from_its_configuration_and_a_changed_start_is_refused(
    drawn_photos: Path, earlier: Run, tmp_path: Path
) -> None:
    start = tmp_path / "start.onnx"
    start.write_bytes(earlier.model_file.read_bytes())
    options = ["--no-report", "--views", "0"]
    first = run([*START, "train", drawn_photos, "--weights", start, "--out", tmp_path / "one", *options])
    assert first.code == 0, first.err
    again = [*START, "train", "--config", tmp_path / "one" / "config.toml", "--no-report", "--out"]
    assert run([*again, tmp_path / "two"]).code == 0
    assert (tmp_path / "one" / "model.onnx").read_bytes() == (tmp_path / "two" / "model.onnx").read_bytes()
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["start"]["name"] == "start.onnx"
    start.write_bytes((tmp_path / "one" / "model.onnx").read_bytes())
    refused = run([*again, tmp_path / "three"])
    assert refused.code == 2
    assert "expected the model with the SHA-256" in refused.err


def test_an_estimator_starts_from_a_run_and_counts_what_was_seen(drawn_photos: Path, settings: TrainSettings) -> None:
    photos = load_folder(drawn_photos).photos
    chosen = RoadClassifier(weights=settings.weights, views=0)
    fitted = chosen.fit([photo.path for photo in photos], [photo.label for photo in photos])
    assert 0 < fitted.seen_ < len(photos)
    assert set(fitted.predict([photos[0].path])) <= {"crossing", "empty"}


class TestSession:
    @pytest.fixture(scope="class")
    @staticmethod
    def numbers(drawn_photos: Path, settings: TrainSettings) -> SessionNumbers:
        with open_cache(None) as cache:
            return Session(settings, cache).update(load_folder(drawn_photos))

    def test_its_first_numbers_are_those_of_a_training(self, numbers: SessionNumbers, further: TrainingResult) -> None:
        assert numbers.data.splits == further.data.splits
        assert np.array_equal(probabilities(numbers.head.head, numbers.data.embeddings), further.probabilities)
        assert numbers.head.scores.origin == further.head.scores.origin == CROSS_VALIDATION
        assert numbers.head.scores.photos == further.head.scores.photos

    def test_photos_that_the_start_knows_are_not_judged(self, numbers: SessionNumbers, further: TrainingResult) -> None:
        assert numbers.judged.photos == further.data.without(further.data.familiar).photos
        assert numbers.crossed.n == len(numbers.judged.photos) == len(numbers.sample.targets)
        checks = crosscheck(further, with_curve=False)
        assert checks is not None
        assert numbers.crossed.metrics["accuracy"] == checks.cross_validated.accuracy

    def test_after_a_change_it_adapts_again(self, drawn_photos: Path, settings: TrainSettings) -> None:
        dataset = load_folder(drawn_photos)
        with open_cache(None) as cache:
            session = Session(settings, cache)
            session.update(replace(dataset, photos=dataset.photos[:-2]))
            numbers = session.update(dataset)
        assert numbers.change is not None and numbers.change.n == numbers.crossed.n - 2
        assert len(numbers.head.trained.history) == 1

    def test_where_too_few_photos_are_new_it_says_so(self, drawn_photos: Path, settings: TrainSettings) -> None:
        with open_cache(None) as cache, pytest.raises(DatasetError, match="that the earlier model has not seen"):
            Session(settings, cache).update(some_of(load_folder(drawn_photos), slice(14)))
