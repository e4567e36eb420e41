"""The rules by which a model answers are set on the validation photos, and on no other."""

from dataclasses import replace

import numpy as np
import pytest

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.decision.ood import fit_ood_reference
from roadclear.training.config import TrainSettings
from roadclear.training.decide import decide
from roadclear.training.finetune.blocks import FinetuneResult, frozen_base
from roadclear.training.heads import fit_heads
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import no_progress

SETTINGS = TrainSettings(size=96, views=0, epochs=3, head="linear", positive="crossing")


@pytest.fixture(scope="module")
def network(prepared: PreparedData) -> FinetuneResult:
    return frozen_base(prepared, fit_heads(prepared, SETTINGS, no_progress).chosen)


def test_the_head_is_calibrated_on_validation(prepared: PreparedData, network: FinetuneResult) -> None:
    found = decide(prepared, network, SETTINGS).head
    expected = calibrate(network.head, prepared.select(VALIDATION), SETTINGS)
    assert (found.temperature, found.threshold, found.band) == (
        expected.temperature,
        expected.threshold,
        expected.band,
    )


def test_distances_are_to_the_training_photos_and_the_limit_is_of_validation(
    prepared: PreparedData, network: FinetuneResult
) -> None:
    found = decide(prepared, network, SETTINGS)
    train, validation = prepared.select(TRAIN)[0], prepared.select(VALIDATION)[0]
    assert found.ood.limit == fit_ood_reference(train, validation, SETTINGS.seed).limit
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
