"""The statistic of drift: silent for photos like the validation photos, in any mix of labels; loud for others."""

import numpy as np
import pytest

from roadclear.deploy.serve.drift import WINDOW, RecentPhotos, measure_drift
from roadclear.model.decision.validation_scores import ValidationScores


def draw(rng: np.random.Generator, n: int, share: float, mean: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of photos whose logits are normal around plus or minus a mean."""
    positive = rng.random(n) < share
    logits = rng.normal(np.where(positive, mean, -mean), 1)
    return positive, 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_photos_like_the_validation_photos_are_below_the_limit_in_any_mix(share: float) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 50, 1000):
        scores = ValidationScores.of(*draw(rng, 200, 0.5))
        found = measure_drift(draw(rng, n, share)[1], scores)
        assert found.distance <= found.limit
        assert found.photos == n
    assert found.positive_share == pytest.approx(share, abs=0.15)


def test_photos_whose_probabilities_lie_elsewhere_are_beyond_the_limit() -> None:
    rng = np.random.default_rng(1)
    scores = ValidationScores.of(*draw(rng, 400, 0.5, mean=3))
    found = measure_drift(draw(rng, 1000, 0.5, mean=0)[1], scores)
    assert found.distance > found.limit


@pytest.mark.parametrize("end", [0.0, 1e-6, 1 - 1e-6, 1.0])
def test_rounding_of_the_kept_scores_is_no_drift(end: float) -> None:
    """Nearly all probabilities of some models lie within a ten-thousandth of 0 or 1."""
    scores = ValidationScores.of(np.arange(400) < 200, np.where(np.arange(400) < 200, 1 - 1e-6, 1e-6))
    assert measure_drift(np.full(1000, end), scores).distance == pytest.approx(0, abs=1e-6)


def test_the_distance_is_that_of_the_best_mix() -> None:
    """A search over a grid of mixes finds no smaller excess."""
    rng = np.random.default_rng(2)
    scores = ValidationScores.of(*draw(rng, 100, 0.4))
    seen = draw(rng, 300, 0.2, mean=0.7)[1]
    found = measure_drift(seen, scores)
    both = np.array([*scores.positive]), np.array([*scores.negative])
    places = np.arange(10_001)
    positive, negative = (np.searchsorted(part, places, side="right") / len(part) for part in both)
    today = np.searchsorted(np.sort(seen * 10_000), places, side="right") / len(seen)
    for share in np.linspace(0, 1, 101):
        distance = np.max(np.abs(share * positive + (1 - share) * negative - today))
        widths = np.sqrt(np.log(600) / 2 / np.array([300, len(both[0]), len(both[1])]))
        excess = distance - widths @ [1, share, 1 - share]
        assert found.distance - found.limit <= excess + 0.02


def test_only_the_last_photos_count() -> None:
    recent = RecentPhotos(None)
    assert recent.unfamiliar_share() is None and recent.drift() is None
    for _ in range(WINDOW):
        recent.add(0.5, True)
    for _ in range(WINDOW // 4):
        recent.add(0.5, False)
    assert recent.unfamiliar_share() == 0.75
    assert recent.drift() is None, "the model file holds no validation probabilities"
