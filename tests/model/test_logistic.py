"""Logistic regressions that are solved together are those of scikit-learn, one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from roadclear.model.heads import balanced_weights
from roadclear.model.logistic import Problems, solve
from roadclear.utils.arrays import Embeddings, Floats, Targets

CHANNELS = 40
STRENGTHS = np.array([1e-4, 1e-3, 1e-2, 1e-1])


def photos(n: int, seed: int, channels: int = CHANNELS, distance: float = 0.3) -> tuple[Embeddings, Targets]:
    """Embeddings of two labels that overlap, with channels of very different sizes that depend on each other."""
    draw = np.random.default_rng(seed)
    targets = draw.permutation(np.arange(n) % 3 == 0).astype(np.int64)
    mixed = draw.exponential(1, (n, channels)) @ draw.normal(0, 1, (channels, channels))
    mixed[:, : channels // 4] += distance * channels**0.5 * targets[:, None]
    return (mixed * np.logspace(-1, 1, channels) + 3).astype(np.float32), targets


def reference(embeddings: Embeddings, targets: Targets, weights: Floats, strength: float) -> tuple[Floats, float]:
    """scikit-learn's optimum, for embeddings as they are."""
    exact = embeddings.astype(np.float64)
    mean, std = exact.mean(axis=0), exact.std(axis=0)
    regression = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
    regression.fit((exact - mean) / std, targets, sample_weight=weights)
    kernel = regression.coef_[0] / std
    return kernel, float(regression.intercept_[0] - kernel @ mean)


@pytest.mark.parametrize(("n", "views", "channels"), [(30, 1, 60), (200, 1, 40), (80, 2, 40), (60, 3, 150)])
def test_every_strength_is_the_optimum(n: int, views: int, channels: int) -> None:
    targets = photos(n, 0, channels)[1]
    seen = [photos(n, 0, channels)[0] + view for view in range(views)]
    weights = balanced_weights(targets)
    kernels, biases = solve(Problems(seen, targets, np.repeat(weights[:, None], 4, axis=1), STRENGTHS), 1e-9)
    stacked = np.concatenate(seen)
    for number, strength in enumerate(STRENGTHS):
        kernel, bias = reference(stacked, np.tile(targets, views), np.tile(weights, views), strength)
        exact = stacked.astype(np.float64)
        assert exact @ kernels[:, number] + biases[number] == pytest.approx(exact @ kernel + bias, abs=1e-4)


def test_the_usual_tolerance_is_near_the_optimum() -> None:
    embeddings, targets = photos(300, 1)
    weights = np.repeat(balanced_weights(targets)[:, None], 4, axis=1)
    problems = Problems([embeddings], targets, weights, STRENGTHS)
    usual, exact = (embeddings @ kernels + biases for kernels, biases in (solve(problems), solve(problems, 1e-9)))
    assert np.abs(usual - exact).max() < 1e-3 * np.abs(exact).max()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_problems_on_other_photos_do_not_disturb_each_other(seed: int, count: int) -> None:
    """Each problem sees the photos that it has weights for, as if there were no others, in no known order."""
    embeddings, targets = photos(80, seed, channels=20)
    draw = np.random.default_rng(seed)
    weights, strengths = np.zeros((80, count)), draw.choice(STRENGTHS, count)
    for number in range(count):
        chosen = np.flatnonzero((draw.random(80) < 0.7) | (np.arange(80) % 40 < 6))
        weights[chosen, number] = balanced_weights(targets[chosen])
    kernels, biases = solve(Problems([embeddings], targets, weights, strengths), 1e-8)
    for number in range(count):
        chosen = weights[:, number] > 0
        alone = Problems([embeddings[chosen]], targets[chosen], weights[chosen, number, None], strengths[[number]])
        kernel, bias = solve(alone, 1e-8)
        expected = embeddings @ kernel[:, 0] + bias[0]
        assert embeddings @ kernels[:, number] + biases[number] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("labels", ["separable", "one photo each", "no channel tells", "constant channels"])
def test_extreme_photos(labels: str) -> None:
    embeddings, targets = photos(40, 0)
    if labels == "separable":
        embeddings[:, 0] = 1000 * targets
    elif labels == "one photo each":
        embeddings, targets = embeddings[:2], np.array([0, 1])
    elif labels == "no channel tells":
        embeddings = np.repeat(embeddings[:20], 2, axis=0)
        targets = np.arange(40) % 2
    else:
        embeddings[:, 5:] = 7
    weights = np.repeat(balanced_weights(targets)[:, None], 4, axis=1)
    with np.errstate(all="raise", under="ignore"):
        kernels, biases = solve(Problems([embeddings], targets, weights, STRENGTHS))
    logits = embeddings @ kernels + biases
    assert np.isfinite(logits).all()
    if labels == "separable":
        assert ((logits[:, 3] > 0) == targets).all()
    if labels == "no channel tells":
        assert np.abs(logits).max() < 1e-3


def test_a_larger_weight_counts_as_more_photos() -> None:
    embeddings, targets = photos(60, 4)
    twice: NDArray[np.float64] = np.where(np.arange(60) < 20, 2.0, 1.0)
    kernels, biases = solve(Problems([embeddings], targets, twice[:, None], np.array([1e-2])), 1e-9)
    kernel, bias = reference(embeddings, targets, twice, 1e-2)
    assert embeddings @ kernels[:, 0] + biases[0] == pytest.approx(embeddings @ kernel + bias, abs=1e-4)
