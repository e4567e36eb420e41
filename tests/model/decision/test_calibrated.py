"""A calibrated head has the temperature in its weights, and the threshold and band that belong to its probabilities."""

import numpy as np
import pytest
from heads import KINDS
from numpy.typing import NDArray

from roadclear.model.decision.calibrated import HeldOut, calibrate, calibrate_by
from roadclear.model.decision.temperature import fit_temperature
from roadclear.model.decision.validation_scores import CROSS_VALIDATION, ValidationScores
from roadclear.model.fit import train_head
from roadclear.model.heads import TrainedHead, probabilities
from roadclear.model.settings import DecisionSettings, HeadSettings

Photos = tuple[NDArray[np.float32], NDArray[np.int64]]


def drawn(n: int, seed: int) -> Photos:
    """Embeddings of two labels that overlap."""
    draw = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    embeddings = draw.exponential(1, (n, 1280))
    embeddings[:, :40] += 0.5 * targets[:, None]
    return embeddings.astype(np.float32), targets


TRAIN, VALIDATION = drawn(80, 0), drawn(60, 1)


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest) -> TrainedHead:
    return train_head([TRAIN[0]], TRAIN[1], VALIDATION, HeadSettings(head=request.param, epochs=4, learning_rate=1e-3))


def test_its_logits_are_those_of_the_trained_head_over_the_temperature(trained: TrainedHead) -> None:
    found = calibrate(trained, VALIDATION, DecisionSettings())
    logits = trained.head.logits(VALIDATION[0])
    assert found.trained is trained
    assert found.temperature == pytest.approx(fit_temperature(logits, VALIDATION[1]), rel=1e-6)
    expected = logits / np.float32(found.temperature)
    np.testing.assert_allclose(found.head.logits(VALIDATION[0]), expected, rtol=1e-4, atol=1e-5)


def test_the_threshold_and_the_band_are_of_calibrated_probabilities(trained: TrainedHead) -> None:
    found = calibrate(trained, VALIDATION, DecisionSettings(min_recall=0.9, coverage=0.9))
    p, positive = probabilities(found.head, VALIDATION[0]), VALIDATION[1] == 1
    assert np.mean(p[positive] >= found.threshold) >= 0.9
    assert found.band.low <= found.threshold <= found.band.high
    right = (p >= found.threshold) == positive
    for label in (True, False):
        assert np.mean((right | found.band.covers(p))[positive == label]) >= 0.9


def test_it_is_repeatable(trained: TrainedHead) -> None:
    first, second = (calibrate(trained, VALIDATION, DecisionSettings()) for _ in range(2))
    assert (first.threshold, first.temperature, first.band) == (second.threshold, second.temperature, second.band)
    assert (first.head.logits(VALIDATION[0]) == second.head.logits(VALIDATION[0])).all()


def test_other_scores_set_the_band_and_nothing_else(trained: TrainedHead) -> None:
    held_out = HeldOut(trained.head.logits(VALIDATION[0]), VALIDATION[1])
    sure = ValidationScores.of(np.arange(800) < 400, np.repeat([0.999, 0.001], 400), origin=CROSS_VALIDATION)
    own, other = (calibrate_by(trained, held_out, DecisionSettings(), scores) for scores in (None, sure))
    assert (own.temperature, own.threshold) == (other.temperature, other.threshold)
    assert (other.band.low, other.band.high) == pytest.approx((0.1, 0.9))
    assert own.promise is not None and other.promise is not None
    assert (own.promise.photos, own.promise.origin) == (60, "validation photos")
    assert (other.promise.photos, other.promise.answered, other.promise.origin) == (800, 800, "cross-validation")
    assert other.promise.kept and not own.promise.kept


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("logits", [[0.0, np.nan], [0.0, 1.0]])
def test_numbers_that_are_none_and_one_class_are_refused(trained: TrainedHead, logits: list[float]) -> None:
    targets = np.array([0, 1 if np.isnan(logits).any() else 0])
    with pytest.raises(ValueError, match=r"^expected"):
        calibrate_by(trained, HeldOut(np.array(logits, np.float32), targets), DecisionSettings())
