"""The rules by which a model answers are set on photos outside its training, and never on test photos."""

from dataclasses import replace

import numpy as np
import pytest

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.decision.ood import fit_ood
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.validation_scores import (
    CROSS_VALIDATION,
    LINEAR_CROSS_VALIDATION,
    VALIDATION_PHOTOS,
)
from roadclear.training.config import TrainSettings
from roadclear.training.cross_fit import cross_fit, linear_scores
from roadclear.training.decide import decide
from roadclear.training.finetune.blocks import FinetuneResult, frozen_base
from roadclear.training.heads import fit_heads
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import no_progress

SETTINGS = TrainSettings(size=96, views=0, epochs=3, head="linear", positive="crossing")


@pytest.fixture(scope="module")
def network(prepared: PreparedData) -> FinetuneResult:
    return frozen_base(prepared, fit_heads(prepared, SETTINGS, no_progress).chosen)


def test_temperature_and_threshold_are_of_the_validation_photos(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    found = decide(prepared, network, SETTINGS).head
    expected = calibrate(network.head, prepared.select(VALIDATION), SETTINGS)
    assert (found.temperature, found.threshold) == (expected.temperature, expected.threshold)


def test_the_band_of_a_frozen_base_is_of_all_photos_outside_the_test_split(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    found = decide(prepared, network, SETTINGS).head
    used = ~prepared.is_in(TEST)
    assert found.scores.origin == LINEAR_CROSS_VALIDATION
    assert found.scores.photos == tuple(int((prepared.targets[used] == label).sum()) for label in (1, 0))
    assert found.scores == linear_scores(prepared, SETTINGS)
    assert found.promise is not None and found.promise.photos == used.sum()


def test_the_band_of_a_fine_tuned_base_is_of_the_validation_photos(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    found = decide(prepared, replace(network, blocks=1), SETTINGS).head
    assert found.scores.origin == VALIDATION_PHOTOS
    assert sum(found.scores.photos) == prepared.is_in(VALIDATION).sum()


def test_cross_fitting_judges_all_photos_outside_the_test_split_by_the_recipe(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    settings = replace(SETTINGS, cross_fit=True)
    found = decide(prepared, network, settings)
    fitted = cross_fit(prepared, settings)
    assert found.head.scores.origin == CROSS_VALIDATION
    assert sum(found.head.scores.photos) == len(fitted.held_out.targets) == (~prepared.is_in(TEST)).sum()
    assert found.head.temperature == fit_temperature(fitted.held_out.logits, fitted.held_out.targets)
    assert found.crossed is not None and found.crossed.n == len(fitted.held_out.targets)
    assert found.crossed.metrics["accuracy"] == fitted.crossed.metrics["accuracy"]


def test_too_few_groups_for_cross_fitting_are_refused(prepared: PreparedData) -> None:
    few = replace(prepared, groups=np.asarray(prepared.targets, dtype=np.intp))
    with pytest.raises(DatasetError, match="leave out --cross-fit"):
        cross_fit(few, SETTINGS)
    assert linear_scores(few, SETTINGS) is None


def test_distances_are_to_the_training_photos_and_the_limit_is_of_validation(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    found = decide(prepared, network, SETTINGS)
    train, validation = prepared.select(TRAIN)[0], prepared.select(VALIDATION)[0]
    assert found.ood.limit == fit_ood(train, validation, SETTINGS.seed).limit
    assert np.array_equal(found.distances, found.ood.distances(prepared.embeddings))


def test_test_photos_change_nothing(prepared: PreparedData, network: FinetuneResult) -> None:
    """Whatever the test photos look like, and whatever they are called."""
    other = network.embeddings.copy()
    other[prepared.numbers(TEST)] = 1.0
    changed = replace(network, embeddings=other, ood_vectors=other)
    honest, tampered = decide(prepared, network, SETTINGS), decide(prepared, changed, SETTINGS)
    assert tampered.head.threshold == honest.head.threshold
    assert tampered.head.temperature == honest.head.temperature
    assert tampered.head.band == honest.head.band
    assert tampered.ood.limit == honest.ood.limit


def test_the_aim_moves_the_threshold(prepared: PreparedData, network: FinetuneResult) -> None:
    balanced = decide(prepared, network, SETTINGS).head.threshold
    careful = decide(prepared, network, replace(SETTINGS, cost_fn=9)).head.threshold
    assert (balanced, careful) == (0.5, pytest.approx(0.1))
