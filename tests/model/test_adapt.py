"""An earlier head follows few photos a little and many photos far, and only its output layer moves."""

from dataclasses import replace

import numpy as np
import pytest
from embedded import drawn_sample
from heads import KINDS, drawn_head
from sklearn.linear_model import LogisticRegression

from roadclear.model.adapt import BIAS_PENALTY, STRENGTH, adapt_head
from roadclear.model.heads import DenseHead, Head, LinearHead, TrainedHead, log_loss
from roadclear.training.cross_validation import CrossValidationData


def started(kind: str) -> Head:
    """An earlier head with logits near zero on drawn embeddings."""
    return drawn_head(kind).with_temperature(20.0)


def adapted(start: Head, sample: CrossValidationData, photos: int | None = None) -> TrainedHead:
    views = [view[:photos] for view in (sample.embeddings, *sample.views)]
    return adapt_head(start, views, sample.targets[:photos], (sample.embeddings, sample.targets))


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_learns_and_keeps_its_kind(kind: str) -> None:
    sample, start = drawn_sample(), started(kind)
    found = adapted(start, sample)
    assert type(found.head) is type(start)
    before, after = (log_loss(head.logits(sample.embeddings), sample.targets) for head in (start, found.head))
    assert after < before - 0.05
    assert [epoch.epoch for epoch in found.history] == [found.best_epoch] == [1]
    assert found.history[0].validation_loss == pytest.approx(after)  # the drawn labels are equally frequent


def test_the_hidden_layer_of_a_dense_head_stays() -> None:
    start = started("dense")
    head = adapted(start, drawn_sample()).head
    assert isinstance(start, DenseHead)
    assert isinstance(head, DenseHead)
    assert head.hidden_kernel is start.hidden_kernel
    assert head.hidden_bias is start.hidden_bias


@pytest.mark.parametrize("kind", KINDS)
def test_few_photos_move_the_head_less_than_many(kind: str) -> None:
    sample, start = drawn_sample(400), started(kind)
    logits = start.logits(sample.embeddings)
    moves = [np.abs(adapted(start, sample, n).head.logits(sample.embeddings) - logits).mean() for n in (8, 40, 400)]
    assert moves == sorted(moves)
    assert moves[2] > 3 * moves[0]


@pytest.mark.parametrize("rare", [30, 5])
def test_from_a_head_of_zeros_it_is_the_logistic_regression_of_scikit_learn(rare: int) -> None:
    """The labels weigh the same, however many photos they have."""
    sample = drawn_sample(60, views=0)
    chosen = np.flatnonzero((sample.targets == 0) | (np.arange(60) < 2 * rare))
    embeddings, targets = sample.embeddings[chosen], sample.targets[chosen]
    start = LinearHead(np.zeros(1280, np.float32), np.float32(0))
    found = adapt_head(start, [embeddings], targets, (sample.embeddings, sample.targets)).head
    scaled = (embeddings - embeddings.mean(axis=0)) / embeddings.std(axis=0)
    strength = STRENGTH / 1280
    with_bias = np.column_stack((scaled, np.full(len(scaled), (strength * BIAS_PENALTY) ** -0.5)))
    oracle = LogisticRegression(
        C=strength, class_weight="balanced", fit_intercept=False, solver="newton-cg", tol=1e-8, max_iter=1000
    )
    expected = oracle.fit(with_bias, targets).decision_function(with_bias)
    assert found.logits(embeddings) == pytest.approx(expected, abs=1e-3)


def test_a_unit_that_is_never_active_is_left_alone() -> None:
    start = started("dense")
    assert isinstance(start, DenseHead)
    bias = start.hidden_bias.copy()
    bias[:3] = -1e6
    head = adapted(replace(start, hidden_bias=bias), drawn_sample()).head
    assert isinstance(head, DenseHead)
    assert np.array_equal(head.output_kernel[:3], start.output_kernel[:3])
    assert np.isfinite(head.output_kernel).all()
