"""A temperature makes probabilities mean what they say, when enough photos say that they do not."""

import numpy as np
import pytest
from heads import KINDS, drawn_head
from hypothesis import given, settings
from hypothesis import strategies as st
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

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_head_takes_it_in(self, kind: str) -> None:
        head = drawn_head(kind)
        embeddings = np.random.default_rng(0).exponential(1, (20, 1280)).astype(np.float32)
        np.testing.assert_allclose(
            head.with_temperature(2.5).logits(embeddings), head.logits(embeddings) / 2.5, rtol=1e-4
        )


class TestMeasure:
    def test_a_worked_example(self) -> None:
        positive = np.array([True, False, True, True])
        found = measure_calibration(positive, np.array([0.25, 0.25, 0.95, 1.0]))
        assert [(b.low, b.high, b.n, b.probability, b.share) for b in found.bins] == [
            (0.2, 0.3, 2, 0.25, 0.5),
            (0.9, 1.0, 2, 0.975, 1.0),
        ]
        assert found.expected_error == pytest.approx((2 * 0.25 + 2 * 0.025) / 4)
        assert found.brier == pytest.approx((0.75**2 + 0.25**2 + 0.05**2) / 4)

    @settings(max_examples=100)
    @given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=50))
    def test_every_photo_is_in_one_bin(self, rows: list[tuple[bool, float]]) -> None:
        positive, probability = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        found = measure_calibration(positive, probability)
        assert sum(b.n for b in found.bins) == len(rows)
        assert sum(b.n * b.share for b in found.bins) == pytest.approx(positive.sum())
        assert sum(b.n * b.probability for b in found.bins) == pytest.approx(probability.sum(), abs=1e-6)
        assert all(b.low <= b.probability + 1e-9 and b.probability <= b.high + 1e-9 for b in found.bins)
        assert all(b.ci95[0] <= b.share <= b.ci95[1] for b in found.bins)
        assert 0 <= found.expected_error <= 1
        assert 0 <= found.brier <= 1
