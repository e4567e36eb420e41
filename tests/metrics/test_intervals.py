"""Intervals are the textbooks', and cover the truth as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from roadclear.metrics.intervals import Estimate, corrected_interval, estimate, estimate_values, proportion, wilson


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [
            # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
            # By hand: with k = 0 the upper end is z^2 / (n + z^2).
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (1, 1, 0.2065, 1.0),
        ],
    )
    def test_textbook_values(self, successes: int, n: int, low: float, high: float) -> None:
        assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)

    @given(n=st.integers(1, 5000), data=st.data())
    def test_it_equals_scipy(self, n: int, data: st.DataObject) -> None:
        successes = data.draw(st.integers(0, n))
        expected = binomtest(successes, n).proportion_ci(method="wilson")
        assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)

    @given(n=st.integers(1, 10**9), data=st.data())
    def test_it_contains_the_value_and_stays_between_0_and_1(self, n: int, data: st.DataObject) -> None:
        estimate = proportion(data.draw(st.integers(0, n)), n)
        assert 0 <= estimate.ci95[0] <= estimate.value <= estimate.ci95[1] <= 1

    def test_of_nothing_it_is_everything(self) -> None:
        estimate = proportion(0, 0)
        assert math.isnan(estimate.value)
        assert (estimate.ci95, estimate.n) == ((0.0, 1.0), 0)

    @pytest.mark.parametrize("n", [10, 40, 200])
    def test_it_covers_the_truth_95_times_in_100(self, n: int) -> None:
        """Exactly, by summing over all outcomes: the mean over true shares from 0.05 to 0.95."""
        ends = np.array([wilson(k, n) for k in range(n + 1)])
        shares = np.linspace(0.05, 0.95, 181)
        covered = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
        coverage = (binom.pmf(np.arange(n + 1)[:, None], n, shares) * covered).sum(axis=0)
        assert coverage.mean() == pytest.approx(0.95, abs=0.01)
        assert coverage.min() > 0.83

    def test_it_covers_the_truth_in_a_simulation(self) -> None:
        """Accuracy of 1,000 drawn test sets of 60 photos, of which a classifier gets 85% right."""
        right = np.random.default_rng(1).binomial(60, 0.85, 1000)
        assert np.mean([wilson(int(k), 60)[0] <= 0.85 <= wilson(int(k), 60)[1] for k in right]) == pytest.approx(
            0.95, abs=0.02
        )


class TestCorrectedInterval:
    def test_by_hand(self) -> None:
        # Mean 0.85; s^2 = (0.0025 + 0.0025 + 0 + 0) / 3; sqrt((1/4 + 1/3) * s^2) = 0.0311805; t(3) = 3.1824463.
        low, high = corrected_interval(np.array([0.8, 0.9, 0.85, 0.85]), 1 / 3)
        assert (low, high) == (pytest.approx(0.85 - 0.0992302, abs=1e-6), pytest.approx(0.85 + 0.0992302, abs=1e-6))

    def test_without_a_test_part_it_is_the_plain_t_interval(self) -> None:
        # Student's own example (1908): hours of sleep gained, 10 patients; mean 1.58, s 1.229995, t(9) 2.262157.
        hours = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
        half = 2.262157 * 1.229995 / math.sqrt(10)
        assert corrected_interval(hours, 0.0) == (
            pytest.approx(1.58 - half, abs=1e-5),
            pytest.approx(1.58 + half, abs=1e-5),
        )

    def test_one_value_has_none(self) -> None:
        assert all(math.isnan(end) for end in corrected_interval(np.array([0.9]), 0.25))


class TestEstimate:
    def test_it_stays_in_the_range_of_the_metric(self) -> None:
        assert estimate(np.array([1.0, 1.0, 0.7]), 0.5, 30).ci95[1] == 1.0
        assert estimate(np.array([0.0, 0.0, 0.3]), 0.5, 30).ci95[0] == 0.0
        assert estimate(np.array([0.9, 1.4, 2.0]), 0.5, 30, largest=math.inf).ci95[1] > 2.0

    def test_folds_that_agree_are_no_certainty(self) -> None:
        assert estimate(np.ones(15), 0.25, 48).ci95 == wilson(48, 48)

    def test_undefined_folds_are_passed_over(self) -> None:
        some = np.array([0.8, np.nan, 0.9, 0.85])
        assert estimate(some, 0.25, 10) == estimate(some[[0, 2, 3]], 0.25, 10)
        nowhere = estimate(np.full(3, np.nan), 0.25, 0)
        assert math.isnan(nowhere.value)
        assert all(math.isnan(end) for end in nowhere.ci95)


def test_what_is_undefined_is_null_in_a_file() -> None:
    assert estimate_values(Estimate(0.5, (0.25, 0.75), 4)) == {"value": 0.5, "ci95": [0.25, 0.75], "n": 4}
    nothing = Estimate(math.nan, (math.nan, math.nan), 0)
    assert estimate_values(nothing) == {"value": None, "ci95": [None, None], "n": 0}
