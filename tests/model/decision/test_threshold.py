"""The threshold serves its aim, and no other would serve it better."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from roadclear.model.decision.threshold import choose_threshold
from roadclear.model.settings import ThresholdSettings

Photos = tuple[NDArray[np.bool_], NDArray[np.float64]]


def photos(*rows: tuple[int, float]) -> Photos:
    """Truth and probability, from rows of both."""
    return np.array([bool(truth) for truth, _ in rows]), np.array([p for _, p in rows], dtype=np.float64)


@st.composite
def any_photos(draw: st.DrawFn, levels: int = 20) -> Photos:
    """Up to 40 photos of both labels, with many ties and the probabilities 0 and 1 among them."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, levels)), min_size=2, max_size=40))
    positive = np.array([truth for truth, _ in rows])
    assume(positive.any() and not positive.all())
    return positive, np.array([level / levels for _, level in rows])


def middles(sample: Photos) -> list[float]:
    levels = sorted({0.0, 1.0, *sample[1].tolist()})
    return [(low + high) / 2 for low, high in itertools.pairwise(levels)]


def shares(sample: Photos, threshold: float) -> tuple[Fraction, Fraction, Fraction]:
    """Recall, specificity and precision, exactly; a precision of nothing is 1."""
    positive, probability = sample
    called = probability >= threshold
    hits, calls = int(np.sum(called & positive)), int(np.sum(called))
    recall = Fraction(hits, int(np.sum(positive)))
    specificity = Fraction(int(np.sum(~called & ~positive)), int(np.sum(~positive)))
    return recall, specificity, Fraction(hits, calls) if calls else Fraction(1)


class TestCosts:
    @pytest.mark.parametrize(
        ("cost_fn", "cost_fp", "expected"), [(1, 1, 0.5), (7, 7, 0.5), (10, 1, 1 / 11), (1, 3, 0.75)]
    )
    def test_they_need_no_photos(self, cost_fn: float, cost_fp: float, expected: float) -> None:
        for sample in (photos((0, 0.1), (1, 0.2)), photos((1, 0.9), (0, 0.95))):
            assert choose_threshold(*sample, ThresholdSettings(cost_fn=cost_fn, cost_fp=cost_fp)) == pytest.approx(
                expected
            )

    @pytest.mark.parametrize(("cost_fn", "cost_fp"), [(1.0, 1.0), (10.0, 1.0), (1.0, 4.0)])
    def test_with_true_probabilities_no_other_threshold_is_cheaper(self, cost_fn: float, cost_fp: float) -> None:
        """A sum over all probabilities that a photo may have, instead of a draw of photos."""
        p = np.linspace(0.0005, 0.9995, 1000)

        def cost(threshold: float) -> float:
            return float(np.where(p >= threshold, (1 - p) * cost_fp, p * cost_fn).sum())

        chosen = choose_threshold(*photos((0, 0.1), (1, 0.9)), ThresholdSettings(cost_fn=cost_fn, cost_fp=cost_fp))
        assert cost(chosen) <= min(cost(t) for t in np.linspace(0, 1, 501)) + 1e-9


class TestRecall:
    @pytest.mark.parametrize(
        ("sample", "wished", "expected"),
        [
            (photos((0, 0.1), (1, 0.2), (0, 0.5), (1, 0.9)), 1.0, 0.15),
            (photos((0, 0.1), (1, 0.2), (0, 0.5), (1, 0.9)), 0.5, 0.7),
            # All positive photos are above every negative one: the widest gap between them.
            (photos((0, 0.1), (0, 0.2), (1, 0.6), (1, 0.9)), 1.0, 0.4),
        ],
    )
    def test_table(self, sample: Photos, wished: float, expected: float) -> None:
        assert choose_threshold(*sample, ThresholdSettings(min_recall=wished)) == pytest.approx(expected)

    @settings(max_examples=200)
    @given(sample=any_photos(), percent=st.integers(1, 100))
    def test_no_threshold_with_it_has_a_higher_specificity(self, sample: Photos, percent: int) -> None:
        wished = Fraction(percent, 100)
        allowed = [s for r, s, _ in (shares(sample, t) for t in middles(sample)) if r >= wished]
        assume(allowed)  # a positive photo with probability 0 is beyond reach
        recall, specificity, _ = shares(sample, choose_threshold(*sample, ThresholdSettings(min_recall=percent / 100)))
        assert recall >= wished
        assert specificity == max(allowed)

    @settings(max_examples=100)
    @given(sample=any_photos())
    def test_the_widest_of_equally_good_gaps_is_taken(self, sample: Photos) -> None:
        chosen = choose_threshold(*sample, ThresholdSettings(min_recall=0.5))
        levels = np.unique([0.0, 1.0, *sample[1]])
        width = {(low + high) / 2: high - low for low, high in itertools.pairwise(levels)}
        recall, specificity, _ = shares(sample, chosen)
        as_good = [t for t in width if shares(sample, t)[0] >= 0.5 and shares(sample, t)[1] == specificity]
        assert recall < 0.5 or width[chosen] == max(width[t] for t in as_good)

    @pytest.mark.parametrize("n", [1, 3, 10, 30, 49, 100])
    def test_one_that_is_just_reached_counts(self, n: int) -> None:
        """With k of n positives above every negative, asking for k/n keeps the negative out, whatever k/n rounds to."""
        positive = np.array([True] * n + [False])
        for k in range(1, n + 1):
            probability = np.array([0.9] * k + [0.1] * (n - k) + [0.5])
            assert choose_threshold(positive, probability, ThresholdSettings(min_recall=k / n)) == pytest.approx(0.7), k


class TestPrecision:
    @pytest.mark.parametrize(
        ("sample", "wished", "expected"),
        [
            (photos((0, 0.1), (1, 0.2), (0, 0.5), (1, 0.9)), 1.0, 0.7),
            (photos((0, 0.1), (1, 0.2), (0, 0.5), (1, 0.9)), 0.6, 0.15),
            # Nobody is called positive without a mistake: the nearest to it that calls somebody.
            (photos((1, 0.6), (1, 0.7), (0, 0.9)), 1.0, 0.3),
        ],
    )
    def test_table(self, sample: Photos, wished: float, expected: float) -> None:
        assert choose_threshold(*sample, ThresholdSettings(min_precision=wished)) == pytest.approx(expected)

    @settings(max_examples=200)
    @given(sample=any_photos(), percent=st.integers(1, 100))
    def test_no_threshold_with_it_has_a_higher_recall(self, sample: Photos, percent: int) -> None:
        every = [(r, p) for r, _, p in (shares(sample, t) for t in middles(sample)) if r > 0]
        assume(every)
        wished = min(Fraction(percent, 100), max(p for _, p in every))
        recall, _, precision = shares(sample, choose_threshold(*sample, ThresholdSettings(min_precision=percent / 100)))
        assert precision >= wished
        assert recall == max(r for r, p in every if p >= wished)
