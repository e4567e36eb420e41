"""A fit is a head, calibrated, with the threshold and the band that belong to its probabilities."""

import numpy as np
import pytest
from heads import KINDS
from numpy.typing import NDArray

from roadclear.model.fit import fit
from roadclear.model.heads import Epoch, probabilities
from roadclear.training.config import TrainSettings

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def drawn(n: int, seed: int) -> Part:
    """Embeddings of two labels that overlap."""
    draw = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    embeddings = draw.exponential(1, (n, 1280))
    embeddings[:, :40] += 0.5 * targets[:, None]
    return embeddings.astype(np.float32), targets


TRAIN, VALIDATION = drawn(80, 0), drawn(60, 1)
OPTIONS = TrainSettings(epochs=4, learning_rate=1e-3)


@pytest.mark.parametrize("kind", KINDS)
class TestFit:
    def test_its_logits_are_those_of_the_trained_head_over_the_temperature(self, kind: str) -> None:
        found = fit(kind, [TRAIN[0]], TRAIN[1], VALIDATION, OPTIONS)
        expected = found.fitted.head.logits(VALIDATION[0]) / np.float32(found.temperature)
        np.testing.assert_allclose(found.head.logits(VALIDATION[0]), expected, rtol=1e-4, atol=1e-5)

    def test_the_threshold_and_the_band_are_of_calibrated_probabilities(self, kind: str) -> None:
        wish = TrainSettings(epochs=4, learning_rate=1e-3, min_recall=0.9, coverage=0.9)
        found = fit(kind, [TRAIN[0]], TRAIN[1], VALIDATION, wish)
        p, positive = probabilities(found.head, VALIDATION[0]), VALIDATION[1] == 1
        assert np.mean(p[positive] >= found.threshold) >= 0.9
        assert found.band.low <= found.threshold <= found.band.high
        right = (p >= found.threshold) == positive
        for label in (True, False):
            assert np.mean((right | found.band.covers(p))[positive == label]) >= 0.9

    def test_it_is_repeatable(self, kind: str) -> None:
        first, second = (fit(kind, [TRAIN[0]], TRAIN[1], VALIDATION, OPTIONS) for _ in range(2))
        assert (first.threshold, first.temperature, first.band) == (second.threshold, second.temperature, second.band)
        assert (first.head.logits(VALIDATION[0]) == second.head.logits(VALIDATION[0])).all()


def test_the_dense_head_tells_of_its_epochs() -> None:
    told: list[Epoch] = []
    found = fit("dense", [TRAIN[0]], TRAIN[1], VALIDATION, OPTIONS, on_epoch=told.append)
    assert tuple(told) == found.fitted.history
