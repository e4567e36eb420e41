""" "Unsure" keeps its promise on photos that nobody had seen, whatever the mix of labels."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from roadclear.data.dataset import load_folder
from roadclear.data.split import SHARES, assign_splits
from roadclear.features.cache import open_cache
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.model.fit import train_linear
from roadclear.model.heads import probabilities
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import prepare
from roadclear.utils.paths import default_cache_path

Photos = tuple[NDArray[np.bool_], NDArray[np.float64]]


def drawn(draw: np.random.Generator, n: int, share: float = 0.5, skill: float = 1.0) -> Photos:
    """Photos that a head of some skill judges; half of its mistakes are grave."""
    positive = draw.random(n) < share
    return positive, 1 / (1 + np.exp(-draw.normal(np.where(positive, skill, -skill), 1.5)))


def covered(band: UnsureBand, positive: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.bool_]:
    return band.covers(probability) | ((probability >= 0.5) == positive)


class TestBand:
    @pytest.mark.parametrize(
        ("positive", "negative", "coverage", "expected"),
        [
            # Three of each: the least liked of four stays outside with coverage 3/4.
            ((0.3, 0.8, 0.9), (0.1, 0.2, 0.6), 0.75, (0.3, 0.6, 0.75)),
            # All on their side: no photo is unsure.
            ((0.7, 0.8, 0.9), (0.1, 0.2, 0.3), 0.75, (0.5, 0.5, 0.75)),
            # Mistakes on one side only.
            ((0.3, 0.8, 0.9), (0.1, 0.2, 0.4), 0.75, (0.3, 0.5, 0.75)),
            # Three photos cannot promise more than 3/4.
            ((0.3, 0.8, 0.9), (0.1, 0.2, 0.6), 0.95, (0.3, 0.6, 0.75)),
            # Half of the positive photos may be lost: no need to be unsure.
            ((0.3, 0.8, 0.9), (0.1, 0.2, 0.6), 0.5, (0.5, 0.5, 0.5)),
        ],
    )
    def test_table(
        self,
        positive: tuple[float, ...],
        negative: tuple[float, ...],
        coverage: float,
        expected: tuple[float, float, float],
    ) -> None:
        truth = np.array([True] * len(positive) + [False] * len(negative))
        band = unsure_band(truth, np.array([*positive, *negative]), 0.5, coverage)
        assert (band.low, band.high, band.coverage) == pytest.approx(expected)

    @settings(max_examples=200)
    @given(seed=st.integers(0, 10_000), coverage=st.floats(0.5, 0.99), threshold=st.floats(0.01, 0.99))
    def test_the_threshold_is_within_and_more_coverage_widens_it(
        self, seed: int, coverage: float, threshold: float
    ) -> None:
        positive, probability = drawn(np.random.default_rng(seed), 60)
        narrow = unsure_band(positive, probability, threshold, 0.5)
        wide = unsure_band(positive, probability, threshold, coverage)
        assert wide.low <= narrow.low <= threshold <= narrow.high <= wide.high
        assert 0 < wide.coverage <= coverage

    def test_a_band_without_width_covers_nothing(self) -> None:
        assert not UnsureBand(0.5, 0.5, 0.95).covers(np.array([0.0, 0.5, 1.0])).any()

    def test_its_ends_are_unsure(self) -> None:
        assert UnsureBand(0.3, 0.6, 0.95).covers(np.array([0.29, 0.3, 0.5, 0.6, 0.61])).tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("n", [60, 400])
def test_the_promise_is_kept_on_fresh_photos_of_another_mix_of_labels(coverage: float, n: int) -> None:
    """Over many draws of validation photos, one fresh photo each, so that the hits are independent."""
    draw = np.random.default_rng(n)
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for _ in range(1500):
        band = unsure_band(*drawn(draw, n), 0.5, coverage)
        positive, probability = drawn(draw, 1, share=0.2)
        hits[bool(positive[0])].append(bool(covered(band, positive, probability)[0]))
    for is_positive, kept in hits.items():
        interval = binomtest(sum(kept), len(kept)).proportion_ci(0.99)
        assert interval.high >= coverage, (is_positive, np.mean(kept))
        # The price of finite ranks is at most one rank of a label's validation photos.
        assert interval.low <= coverage + 1 / (0.4 * n), (is_positive, np.mean(kept))


@pytest.mark.slow
def test_the_promise_is_kept_on_real_photos(roads: Path) -> None:
    """Test photos of several splits of real photos, and heads that never saw them."""
    options = TrainSettings(coverage=0.95)
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(roads), options, cache)
    labels = [photo.label for photo in data.photos]
    kept: list[bool] = []
    for seed in range(6):
        splits = np.array(assign_splits(labels, data.groups, seed))
        x = {name: (data.embeddings[splits == name], data.targets[splits == name]) for name in SHARES}
        trained = train_linear([x["train"][0]], x["train"][1], x["validation"])
        found = calibrate(trained, x["validation"], options)
        embeddings, truth = x["test"]
        kept += covered(found.band, truth == 1, probabilities(found.head, embeddings)).tolist()
    assert binomtest(sum(kept), len(kept)).proportion_ci(0.95).high >= 0.95, np.mean(kept)
