"""A temperature makes probabilities mean what they say, when enough photos say that they do not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from roadclear.metrics.calibration import measure_calibration
from roadclear.model.decision.temperature import fit_temperature


def drawn(n: int, temperature: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits that are too large by a factor, of photos of both labels."""
    draw = np.random.default_rng(seed)
    true_logits = draw.normal(0, 2, n)
    targets = (draw.random(n) < 1 / (1 + np.exp(-true_logits))).astype(np.int64)
    return (true_logits * temperature).astype(np.float32), targets


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


class TestTemperature:
    @pytest.mark.parametrize("true", [0.5, 1.0, 2.0, 4.0])
    def test_many_photos_find_it(self, true: float) -> None:
        assert fit_temperature(*drawn(20_000, true)) == pytest.approx(true, rel=0.05)

    @pytest.mark.parametrize("true", [0.5, 2.0, 4.0])
    def test_it_lowers_the_expected_error_on_fresh_photos(self, true: float) -> None:
        temperature = fit_temperature(*drawn(1000, true))
        logits, targets = drawn(5000, true, seed=1)
        before = measure_calibration(targets == 1, sigmoid(logits))
        after = measure_calibration(targets == 1, sigmoid(logits / np.float32(temperature)))
        assert after.expected_error < before.expected_error / 2
        assert after.brier < before.brier

    def test_few_photos_without_a_mistake_do_not_ask_for_certainty(self) -> None:
        logits, targets = np.array([-3, -2, 2, 3], np.float32), np.array([0, 0, 1, 1])
        assert 0.8 < fit_temperature(logits, targets) < 1

    def test_labels_count_alike_however_many_photos_they_have(self) -> None:
        """Ten copies of every negative photo change nothing of the balanced loss, and the prior weighs less."""
        logits, targets = drawn(3000, 3.0)
        negative = targets == 0
        many = np.concatenate([logits, *[logits[negative]] * 9])
        labels = np.concatenate([targets, *[targets[negative]] * 9])
        assert fit_temperature(many, labels) == pytest.approx(fit_temperature(logits, targets), rel=0.05)
