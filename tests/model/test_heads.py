"""What a head gives: logits, probabilities and losses, the same as scikit-learn's."""

import math

import numpy as np
import pytest
from heads import KINDS, drawn_head
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sklearn.metrics import log_loss as sklearn_log_loss

from roadclear.model.heads import LinearHead, balanced_weights, log_loss, log_losses, probabilities

CHANNELS = 1280


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_divides_the_logits(kind: str, temperature: float) -> None:
    head = drawn_head(kind)
    embeddings = np.random.default_rng(0).exponential(1, (20, CHANNELS)).astype(np.float32)
    expected = head.logits(embeddings) / np.float32(temperature)
    np.testing.assert_allclose(head.with_temperature(temperature).logits(embeddings), expected, rtol=1e-4)


class TestProbabilities:
    def test_they_are_the_sigmoid_of_the_logits(self) -> None:
        kernel = np.zeros(CHANNELS, np.float32)
        kernel[0] = 1
        embeddings = np.zeros((5, CHANNELS), np.float32)
        embeddings[:, 0] = [-100, -1, 0, 1, 100]
        found = probabilities(LinearHead(kernel, np.float32(0)), embeddings)
        assert found.dtype == np.float64
        assert found == pytest.approx([0, 1 / (1 + math.e), 0.5, math.e / (1 + math.e), 1])


@given(targets=arrays.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 1)))
def test_balanced_weights(targets: NDArray[np.int64]) -> None:
    weights = balanced_weights(targets)
    if 0 < targets.sum() < len(targets):
        assert weights.mean() == pytest.approx(1)
        assert weights[targets == 1].sum() == pytest.approx(weights[targets == 0].sum())
    assert (weights > 0).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["camera", "site", None])), min_size=1, max_size=60))
def test_photos_of_large_sources_weigh_less(photos: list[tuple[int, str | None]]) -> None:
    targets, sources = np.array([target for target, _ in photos]), [source for _, source in photos]
    weights = balanced_weights(targets, sources)
    counts = np.array([sources.count(source) for source in sources])
    for label in (0, 1):
        of_label = targets == label
        shares = weights[of_label] * np.sqrt(counts[of_label])
        assert shares == pytest.approx(np.full(len(shares), shares.mean() if len(shares) else 0.0))
    if len(set(targets.tolist())) == 2:
        assert weights.mean() == pytest.approx(1)
        assert weights[targets == 1].sum() == pytest.approx(weights[targets == 0].sum())


def test_one_source_changes_nothing() -> None:
    targets = np.array([0, 1, 1, 1, 0, 1])
    assert balanced_weights(targets, ["camera"] * 6) == pytest.approx(balanced_weights(targets))


class TestLogLoss:
    @pytest.mark.parametrize(
        ("logit", "target", "loss"),
        [(0, 1, math.log(2)), (0, 0, math.log(2)), (1000, 1, 0), (1000, 0, 1000), (-1000, 1, 1000), (-1000, 0, 0)],
    )
    def test_table(self, logit: float, target: int, loss: float) -> None:
        assert log_loss(np.array([logit], np.float32), np.array([target])) == pytest.approx(loss)

    def test_it_equals_scikit_learn(self) -> None:
        draw = np.random.default_rng(0)
        logits, targets = draw.normal(0, 3, 100).astype(np.float32), draw.integers(0, 2, 100)
        weights = balanced_weights(targets)
        expected = sklearn_log_loss(targets, 1 / (1 + np.exp(-logits.astype(np.float64))), sample_weight=weights)
        assert log_loss(logits, targets, weights) == pytest.approx(expected)

    def test_it_is_the_mean_of_the_losses_of_photos(self) -> None:
        logits, targets = np.array([-2, 0, 3], np.float32), np.array([0, 1, 1])
        assert log_loss(logits, targets) == pytest.approx(log_losses(logits, targets).mean())
