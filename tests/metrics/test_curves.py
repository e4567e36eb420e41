"""Operating points and threshold curves: each point is what its threshold does, counted photo by photo."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import precision_recall_curve, roc_curve

from roadclear.errors import DatasetError
from roadclear.metrics.curves import (
    GRID,
    MOST_BANDED,
    operating_points,
    precision_band,
    rates_at,
    roc_band,
    threshold_curve,
)
from roadclear.utils.arrays import Bools, Floats

Photos = tuple[Bools, Floats]


@st.composite
def any_photos(draw: st.DrawFn, levels: int = 20) -> Photos:
    """Up to 40 photos of both labels, with many ties and the probabilities 0 and 1 among them."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, levels)), min_size=2, max_size=40))
    positive = np.array([truth for truth, _ in rows])
    assume(positive.any() and not positive.all())
    return positive, np.array([level / levels for _, level in rows])


def drawn(n: int, seed: int = 0) -> Photos:
    draw = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    return positive, np.clip(draw.normal(np.where(positive, 0.6, 0.4), 0.2), 0, 1)


class TestOperatingPoints:
    @settings(max_examples=100)
    @given(sample=any_photos())
    def test_they_are_those_of_scikit_learn(self, sample: Photos) -> None:
        found = operating_points(*sample)
        false_rate, recall, _ = roc_curve(*sample, drop_intermediate=False)
        np.testing.assert_allclose(found.false_rate, false_rate, atol=1e-12)
        np.testing.assert_allclose(found.recall, recall, atol=1e-12)
        precision, _, _ = precision_recall_curve(*sample, drop_intermediate=False)
        np.testing.assert_allclose(found.precision, precision[::-1], atol=1e-12)

    @settings(max_examples=50)
    @given(sample=any_photos(), threshold=st.integers(0, 20))
    def test_rates_at_a_threshold_lie_on_the_curve(self, sample: Photos, threshold: int) -> None:
        points = operating_points(*sample)
        assert rates_at(*sample, threshold / 20) in set(zip(points.recall, points.false_rate, strict=True))

    @pytest.mark.parametrize("positive", [True, False])
    def test_photos_of_one_class_have_none(self, positive: bool) -> None:
        with pytest.raises(DatasetError, match="expected photos of both classes, found 3 of one"):
            operating_points(np.full(3, positive), np.array([0.1, 0.5, 0.9]))


class TestBands:
    @pytest.mark.parametrize("band", [roc_band, precision_band])
    def test_they_hold_most_of_the_curve_and_narrow_with_more_photos(self, band: object) -> None:
        widths = []
        for n in (60, 600):
            found = band(*drawn(n))  # type: ignore[operator]
            assert found is not None
            low, high = found
            assert low.shape == high.shape == GRID.shape
            assert ((low >= 0) & (low <= high) & (high <= 1)).all()
            widths.append(float(np.mean(high - low)))
        assert widths[1] < widths[0] / 2

    def test_the_middle_of_the_roc_band_is_near_the_curve(self) -> None:
        sample = drawn(600)
        band, points = roc_band(*sample), operating_points(*sample)
        assert band is not None
        curve = np.interp(GRID, points.false_rate, points.recall)
        assert ((band[0] <= curve + 1e-9) & (curve <= band[1] + 1e-9)).all()

    @pytest.mark.parametrize("band", [roc_band, precision_band])
    def test_a_model_without_a_mistake_has_a_band_with_a_width(self, band: object) -> None:
        positive = np.arange(40) % 2 == 0
        low, high = band(positive, np.where(positive, 0.9, 0.1))  # type: ignore[operator, misc]
        assert (low[5:95] < 0.9).all() and (high[5:95] == 1).all()

    @pytest.mark.parametrize(("scenes", "photos"), [(40, 3), (100, 1)])
    def test_they_hold_the_truth_at_each_place(self, scenes: int, photos: int) -> None:
        """Normal scores that are 1.7 apart (area 0.885), three quarters of the noise by scene; 60 test sets."""
        draw, groups = np.random.default_rng(1), np.repeat(np.arange(scenes), photos)
        held: list[tuple[float, float]] = []
        recall = norm.sf(norm.isf(GRID) - 1.7)
        false_rate = norm.sf(norm.isf(GRID) + 1.7)
        precision = GRID / np.maximum(GRID + false_rate, 1e-12)
        for _ in range(60):
            positive = np.repeat(draw.permutation(scenes) < scenes // 2, photos)
            noise = np.sqrt(0.75) * draw.normal(size=scenes)[groups] + 0.5 * draw.normal(size=scenes * photos)
            sample = positive, norm.cdf(np.where(positive, 0.85, -0.85) + noise), groups
            bands = [(roc_band(*sample), recall), (precision_band(*sample), precision)]
            inside = [(b[0] <= t) & (t <= b[1]) for b, t in bands if b is not None]
            held.append((float(inside[0][5:96].mean()), float(inside[1][5:96].mean())))
        assert np.mean(held, axis=0).min() >= 0.93

    @pytest.mark.parametrize("band", [roc_band, precision_band])
    def test_many_photos_need_none(self, band: object) -> None:
        assert band(*drawn(MOST_BANDED + 1)) is None  # type: ignore[operator]


@settings(max_examples=100)
@given(sample=any_photos())
def test_a_threshold_curve_is_what_each_threshold_does(sample: Photos) -> None:
    positive, probability = sample
    levels = sorted({0.0, 1.0, *probability.tolist()})
    found = threshold_curve(positive, probability)
    assert found.thresholds.tolist() == [(low + high) / 2 for low, high in itertools.pairwise(levels)]
    assert found.gaps.tolist() == [high - low for low, high in itertools.pairwise(levels)]
    for i, threshold in enumerate(found.thresholds):
        called = probability >= threshold
        assert found.recall[i] == pytest.approx(called[positive].mean())
        assert found.specificity[i] == pytest.approx((~called)[~positive].mean())
        assert found.precision[i] == pytest.approx(positive[called].mean() if called.any() else 1)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_probability_or_threshold_that_is_none_is_refused(wrong: float) -> None:
    positive, probability = drawn(12)
    with pytest.raises(DatasetError, match="expected a decision threshold from 0 to 1, found"):
        rates_at(positive, probability, wrong)
    probability[2] = wrong
    for refuses in (operating_points, threshold_curve, lambda *sample: rates_at(*sample, 0.5), roc_band):
        with pytest.raises(DatasetError, match="expected probabilities from 0 to 1, found"):
            refuses(positive, probability)
