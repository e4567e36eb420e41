"""What is reported of a model: the numbers of each split at the model's own threshold, from its own probabilities."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from trained import FAST, train_photos

from roadclear.data.dataset import load_folder
from roadclear.data.split import SPLITS, TEST, VALIDATION
from roadclear.images.decode import read_photo
from roadclear.metrics.classification import evaluate
from roadclear.metrics.intervals import share_of
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.metadata import read_facts
from roadclear.training.result import TrainingResult


@pytest.mark.parametrize("split", [VALIDATION, TEST])
def test_evaluations_are_of_the_model_s_probabilities_at_its_threshold(
    small_training: TrainingResult, split: str
) -> None:
    chosen = small_training.data.is_in(split)
    positive = small_training.data.targets[chosen] == 1
    probability, groups = small_training.probabilities[chosen], small_training.data.groups[chosen]
    expected = evaluate(positive, probability, small_training.facts.threshold, groups)
    assert small_training.evaluations[split] == expected


def test_training_photos_are_not_evaluated(small_training: TrainingResult) -> None:
    for by_split in (small_training.evaluations, small_training.reliability, small_training.linear):
        assert list(by_split) == [VALIDATION, TEST]


@pytest.mark.parametrize("split", [VALIDATION, TEST])
def test_reliability_is_that_of_the_answers(small_training: TrainingResult, split: str) -> None:
    chosen, found = small_training.data.is_in(split), small_training.reliability[split]
    unsure = small_training.facts.band.covers(small_training.probabilities[chosen])
    unfamiliar = small_training.distances[chosen] > small_training.facts.distance_limit
    groups = small_training.data.groups[chosen]
    assert found.unsure == share_of(unsure, groups)
    assert found.unfamiliar == share_of(unfamiliar, groups)
    assert list(found.covered) == ["crossing", "empty"]


def test_the_linear_reference_has_a_threshold_of_its_own(drawn_photos: Path) -> None:
    """Where the linear head is asked for, the reference is that head."""
    dataset = load_folder(drawn_photos)
    training = train_photos(dataset, dataset.photos, replace(FAST, head="linear", min_recall=0.9))
    assert training.linear == training.evaluations
    expected = calibrate(training.head.trained, training.data.select(VALIDATION), training.settings)
    assert training.linear[TEST].threshold == expected.threshold


def test_accuracy_by_source_is_that_of_the_test_photos(drawn_photos: Path) -> None:
    dataset = load_folder(drawn_photos)
    sources = ("street.example", "road.example", None)
    photos = [replace(photo, source=sources[number % 3]) for number, photo in enumerate(dataset.photos)]
    training = train_photos(dataset, photos)
    data = training.data
    right = (training.probabilities >= training.facts.threshold) == (data.targets == 1)
    assert list(training.per_source) == ["road.example", "street.example"]
    for source, found in training.per_source.items():
        chosen = data.is_in(TEST) & np.array([photo.source == source for photo in data.photos])
        assert found == share_of(right[chosen], data.groups[chosen])


def test_without_sources_there_is_none(small_training: TrainingResult) -> None:
    assert small_training.per_source == {}


class TestModelFile:
    def test_it_says_what_is_reported(self, small_training: TrainingResult) -> None:
        facts = read_facts(small_training.model)
        assert replace(facts, training={}) == replace(small_training.facts, training={})
        assert (facts.positive, facts.negative, facts.size, facts.head) == ("crossing", "empty", 96, "dense")
        assert facts.training["photos"] == {name: small_training.data.splits.count(name) for name in SPLITS}
        test = small_training.evaluations[TEST].metrics["accuracy"]
        assert facts.training["accuracy"][TEST]["value"] == test.value
        assert facts.training["options"]["views"] == 1

    def test_it_answers_as_is_reported(self, small_training: TrainingResult) -> None:
        session = onnxruntime.InferenceSession(small_training.model, providers=["CPUExecutionProvider"])
        photos = np.stack([read_photo(photo.path, 96) for photo in small_training.data.photos])
        probability, distance = session.run(["probability", "distance"], {"photo": photos})
        np.testing.assert_allclose(probability, small_training.probabilities, atol=1e-3)
        np.testing.assert_allclose(distance, small_training.distances, atol=1e-3)
