"""The two heads of a training: the one that is asked for, and the linear reference."""

from dataclasses import replace

import numpy as np
import pytest

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.fit import train_head
from roadclear.model.heads import DenseHead, LinearHead
from roadclear.training.config import TrainSettings
from roadclear.training.heads import fit_heads
from roadclear.training.prepare import PreparedData, load_views
from roadclear.utils.progress import no_progress

SETTINGS = TrainSettings(size=96, views=2, epochs=3, positive="crossing")


def test_the_dense_head_has_the_linear_one_beside_it(prepared: PreparedData) -> None:
    heads = fit_heads(prepared, SETTINGS, no_progress)
    assert isinstance(heads.chosen.head, DenseHead)
    assert isinstance(heads.linear.head, LinearHead)


def test_the_linear_head_is_trained_once(prepared: PreparedData) -> None:
    heads = fit_heads(prepared, replace(SETTINGS, head="linear"), no_progress)
    assert heads.chosen is heads.linear


@pytest.mark.parametrize("kind", ["dense", "linear"])
def test_they_see_the_training_photos_with_their_views_and_stop_by_validation(
    prepared: PreparedData, kind: str
) -> None:
    heads = fit_heads(prepared, replace(SETTINGS, head=kind), no_progress)
    embeddings, targets = prepared.select(TRAIN)
    views = [embeddings, *load_views(prepared, prepared.numbers(TRAIN).tolist(), 2)]
    expected = train_head(views, targets, prepared.select(VALIDATION), replace(SETTINGS, head=kind))
    assert heads.chosen.history == expected.history
    assert np.array_equal(heads.chosen.head.logits(embeddings), expected.head.logits(embeddings))


def test_a_start_is_trained_further(prepared: PreparedData) -> None:
    earlier = fit_heads(prepared, SETTINGS, no_progress).chosen
    assert isinstance(earlier.head, DenseHead)
    further = fit_heads(prepared, SETTINGS, no_progress, earlier.head).chosen
    assert further.history[0].train_loss < earlier.history[0].train_loss


def test_epochs_are_reported(prepared: PreparedData) -> None:
    reported: list[tuple[str, int, int]] = []
    fit_heads(prepared, SETTINGS, lambda *progress: reported.append(progress))
    assert [entry for entry in reported if entry[0] == "Training"] == [("Training", k, 3) for k in (1, 2, 3)]
