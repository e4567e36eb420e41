"""The two heads of a training: the one that is asked for, and the linear reference."""

from dataclasses import replace

import numpy as np
import pytest
from embedded import drawn_sample
from heads import KINDS, drawn_head

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.adapt import adapt_head
from roadclear.model.fit import train_head
from roadclear.model.heads import DenseHead, Head, LinearHead, TrainedHead
from roadclear.training.config import TrainSettings
from roadclear.training.heads import FEW, fit_head, fit_heads
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


class TestEarlierHead:
    """Few photos adapt an output layer, many train a dense head on, and a linear head is trained anew."""

    @staticmethod
    def fitted(kind: str, photos: int, start: Head) -> TrainedHead:
        sample = drawn_sample(photos, views=1)
        views, validation = [sample.embeddings, *sample.views], (sample.embeddings, sample.targets)
        return fit_head(views, sample.targets, validation, replace(SETTINGS, head=kind), start)

    @pytest.mark.parametrize("kind", KINDS)
    def test_few_photos_adapt_its_output_layer(self, kind: str) -> None:
        sample, start = drawn_sample(2 * FEW - 1, views=1), drawn_head(kind)
        views, validation = [sample.embeddings, *sample.views], (sample.embeddings, sample.targets)
        expected = adapt_head(start, views, sample.targets, validation).head.logits(sample.embeddings)
        assert np.array_equal(self.fitted(kind, 2 * FEW - 1, start).head.logits(sample.embeddings), expected)

    def test_many_photos_train_a_dense_head_on(self) -> None:
        start = drawn_head("dense")
        found = self.fitted("dense", 2 * FEW, start)
        assert isinstance(start, DenseHead)
        assert isinstance(found.head, DenseHead)
        moved = np.abs(found.head.hidden_kernel - start.hidden_kernel)
        assert 0 < moved.max() < 0.02  # a few steps of Adam from there

    def test_many_photos_train_a_linear_head_anew(self) -> None:
        sample = drawn_sample(2 * FEW, views=1)
        views, validation = [sample.embeddings, *sample.views], (sample.embeddings, sample.targets)
        expected = train_head(views, sample.targets, validation, replace(SETTINGS, head="linear")).head
        found = self.fitted("linear", 2 * FEW, drawn_head("linear")).head
        assert np.array_equal(found.logits(sample.embeddings), expected.logits(sample.embeddings))


def test_epochs_are_reported(prepared: PreparedData) -> None:
    reported: list[tuple[str, int, int]] = []
    fit_heads(prepared, SETTINGS, lambda *progress: reported.append(progress))
    assert [entry for entry in reported if entry[0] == "Training"] == [("Training", k, 3) for k in (1, 2, 3)]
