"""Of the photos that are answered, few are answered wrongly: in simulations with known truth, and by properties."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta, binom

from roadclear.errors import OptionError
from roadclear.model.decision.promise import Promise, choose_band, promised_band, upper_bounds
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.settings import PromiseSettings

ERRORS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.2, 0.5)

Drawn = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


def drawn(draw: np.random.Generator, n: int, skill: float, noise: float = 0.0) -> Drawn:
    """Photos of calibrated probabilities, some labels wrong: truth, probability, and true chance of a wrong answer."""
    sure = draw.gamma(2.2, skill, n)
    wrong = expit(-sure) * (1 - noise) + expit(sure) * noise
    called = draw.random(n) < 0.5
    positive = called ^ (draw.random(n) < wrong)
    return positive, expit(np.where(called, sure, -sure)), wrong


def scores_of(n: int = 400, seed: int = 0, skill: float = 3.0) -> ValidationScores:
    return ValidationScores.of(*drawn(np.random.default_rng(seed), n, skill)[:2])


class TestBound:
    @pytest.mark.parametrize(("wrong", "answered"), [(0, 1), (0, 230), (3, 700), (10, 11), (400, 90_000)])
    @pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
    def test_it_is_the_bound_of_clopper_and_pearson(self, wrong: int, answered: int, confidence: float) -> None:
        (bound,) = upper_bounds(np.array([wrong]), np.array([answered]), 1.0, confidence)
        assert bound == pytest.approx(beta.ppf(confidence, wrong + 1, answered - wrong))
        assert binom.cdf(wrong, answered, bound) == pytest.approx(1 - confidence)

    def test_without_a_right_answer_it_is_one(self) -> None:
        assert upper_bounds(np.array([0, 3]), np.array([0, 3]), 1.0, 0.9).tolist() == [1.0, 1.0]

    def test_fewer_independent_photos_raise_it(self) -> None:
        bounds = [upper_bounds(np.array([2]), np.array([500]), share, 0.9)[0] for share in (1.0, 0.5, 0.1)]
        assert bounds == sorted(bounds) and len(set(bounds)) == 3


class TestBand:
    @given(seed=st.integers(0, 10_000), n=st.integers(2, 300), threshold=st.floats(0.01, 0.99))
    def test_a_larger_share_of_wrong_answers_never_makes_it_wider(self, seed: int, n: int, threshold: float) -> None:
        scores = ValidationScores.of(*_both_classes(*drawn(np.random.default_rng(seed), n, 2.0)[:2]))
        bands = [promised_band(scores, threshold, PromiseSettings(max_error=error))[0] for error in ERRORS]
        for wide, narrow in pairwise(bands):
            assert wide.low <= narrow.low <= threshold <= narrow.high <= wide.high

    @given(seed=st.integers(0, 10_000), n=st.integers(2, 300), error=st.sampled_from(ERRORS))
    def test_the_counts_are_those_of_the_photos(self, seed: int, n: int, error: float) -> None:
        positive, probability = _both_classes(*drawn(np.random.default_rng(seed), n, 2.0)[:2])
        band, promise = promised_band(
            ValidationScores.of(positive, probability), 0.5, PromiseSettings(max_error=error, max_unsure=0.4)
        )
        # A probability that is rounded to the other side of an end is counted there.
        loose, tight = (np.abs(probability - 0.5) > band.high - 0.5 + step for step in (-1e-4, 1e-4))
        wrong = (probability >= 0.5) != positive
        assert tight.sum() <= promise.answered <= loose.sum()
        assert (tight & wrong).sum() <= promise.wrong <= (loose & wrong).sum()
        assert promise.unsure <= 0.4
        assert promise.bound == upper_bounds(np.array([promise.wrong]), np.array([promise.answered]), 1.0, 0.9)[0]

    @pytest.mark.parametrize(("error", "low"), [(0.001, 0.1), (0.01, 0.1), (0.02, 0.2), (0.025, 0.25), (0.5, 0.25)])
    def test_it_has_a_floor(self, error: float, low: float) -> None:
        """Every answer is right, and the promise would hold without a band."""
        positive = np.arange(20_000) % 2 == 0
        sure = np.random.default_rng(0).uniform(0.7, 1, 20_000)
        scores = ValidationScores.of(positive, np.where(positive, sure, 1 - sure))
        band, promise = promised_band(scores, 0.5, PromiseSettings(max_error=error, max_unsure=0.9))
        assert (band.low, band.high) == pytest.approx((low, 1 - low))
        assert promise.kept and promise.wrong == 0

    def test_the_floor_ends_where_too_many_photos_would_be_unsure(self) -> None:
        positive = np.arange(100) % 2 == 0
        probability = np.where(positive, 0.6, 0.4) + np.random.default_rng(0).uniform(-0.05, 0.05, 100)
        band, promise = promised_band(ValidationScores.of(positive, probability), 0.5, PromiseSettings(max_unsure=0.3))
        assert 0.4 < band.low < band.high < 0.6
        assert promise.unsure == pytest.approx(0.3)

    @pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 1.0])
    def test_ties_are_answered_together_or_not_at_all(self, value: float) -> None:
        positive = np.arange(40) % 2 == 0
        band, promise = promised_band(ValidationScores.of(positive, np.full(40, value)), 0.5, PromiseSettings())
        assert band.low < band.high
        assert promise.answered == (0 if value == 0.5 else 40)
        assert promise.bound >= 0.5 and not promise.kept

    def test_what_cannot_be_promised_is_lowered_to_what_can(self) -> None:
        scores = scores_of(150)
        _, promise = promised_band(scores, 0.5, PromiseSettings(max_error=0.01))
        assert not promise.kept and promise.stated == promise.bound > 0.01
        assert promise.needed == 230
        _, looser = promised_band(scores, 0.5, PromiseSettings(max_error=promise.bound))
        assert looser.kept and looser.bound <= promise.bound

    def test_a_coverage_is_promised_as_before(self) -> None:
        scores = scores_of()
        assert choose_band(scores, 0.5, PromiseSettings(coverage=0.9)) == (scores.band(0.5, 0.9), None)
        with pytest.raises(OptionError, match="expected a largest share of wrong answers"):
            promised_band(scores, 0.5, PromiseSettings(coverage=0.9))

    @pytest.mark.parametrize("n", [1_490, 5_000, 40_000])
    @pytest.mark.parametrize("threshold", [0.2, 0.5])
    def test_of_many_photos_a_promise_that_is_not_bolder_is_kept(self, n: int, threshold: float) -> None:
        scores = scores_of(n)
        for error in (0.005, 0.01, 0.02):
            settings = PromiseSettings(max_error=error)
            (wide, kept), (band, whole) = (
                promised_band(one, threshold, settings) for one in (scores.thinned(), scores)
            )
            assert (kept.photos, kept.bound >= whole.bound or kept.kept) == (whole.photos, True)
            assert wide.low <= band.low + 0.02 and band.high - 0.02 <= wide.high


@pytest.mark.parametrize(("n", "skill", "noise"), [(300, 4.0, 0.0), (900, 3.0, 0.003), (900, 2.0, 0.0)])
def test_what_is_stated_is_true_in_nine_of_ten_trainings(n: int, skill: float, noise: float) -> None:
    """Photos of known truth. The true share of wrong answers among answered photos is compared with what is stated."""
    draw = np.random.default_rng([n, int(10 * skill)])
    _, probability, chance = drawn(draw, 100_000, skill, noise)
    broken = 0
    for _ in range(300):
        band, promise = promised_band(ValidationScores.of(*drawn(draw, n, skill, noise)[:2]), 0.5, PromiseSettings())
        broken += chance[~band.covers(probability)].mean() > promise.stated
    assert broken <= binom.ppf(0.999, 300, 0.12)


def test_photos_in_groups_promise_less() -> None:
    """Three photos of one scene are right or wrong together: as many independent photos would promise too much."""
    draw = np.random.default_rng(0)
    _, probability, chance = drawn(draw, 100_000, 3.0)
    broken = np.zeros(2)
    for _ in range(200):
        positive, p, _ = (np.repeat(each, 3) for each in drawn(draw, 300, 3.0))
        for number, groups in enumerate((np.arange(900) // 3, None)):
            band, promise = promised_band(ValidationScores.of(positive, p, groups), 0.5, PromiseSettings())
            broken[number] += chance[~band.covers(probability)].mean() > promise.stated
    assert broken[0] <= binom.ppf(0.999, 200, 0.12) < broken[1]


class TestJson:
    def test_it_comes_back(self) -> None:
        _, promise = promised_band(scores_of(), 0.5, PromiseSettings())
        assert Promise.from_json(promise.to_json()) == promise

    @pytest.mark.parametrize(
        "change",
        [
            {"bound": 1.5},
            {"bound": math.nan},
            {"bound": "0.1"},
            {"max_error": 0.0},
            {"confidence": 1.0},
            {"independent": -0.1},
            {"photos": 0},
            {"photos": 1.5},
            {"wrong": 10_000},
            {"answered": 10_000},
            {"wrong": -1},
            {"origin": 3},
            {"origin": "two\nlines"},
            {"more": 1},
        ],
    )
    def test_other_texts_are_refused(self, change: dict[str, object]) -> None:
        _, promise = promised_band(scores_of(), 0.5, PromiseSettings())
        with pytest.raises((ValueError, TypeError)):
            Promise.from_json(json.dumps(json.loads(promise.to_json()) | change))


def _both_classes(
    positive: NDArray[np.bool_], probability: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    positive = positive.copy()
    positive[:2] = True, False
    return positive, probability
