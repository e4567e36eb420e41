"""The next photos to label: uncertain ones, of different clusters, without near copies."""

import numpy as np
import pytest

from roadclear.curation.selection import choose_next, first_of_groups, uncertainty_of

DRAWN = np.random.default_rng(3)


def clustered(clusters: int, size: int) -> np.ndarray:
    """Embeddings [clusters * size, 32] close to as many directions as there are clusters."""
    middles = np.repeat(10 * DRAWN.normal(size=(clusters, 32)), size, axis=0)
    return (middles + DRAWN.normal(scale=0.1, size=middles.shape)).astype(np.float32)


def test_every_cluster_gives_its_most_uncertain_photo() -> None:
    embeddings, uncertainty = clustered(5, 20), DRAWN.uniform(size=100)
    chosen = choose_next(embeddings, uncertainty, 5, seed=0)
    expected = [20 * k + int(uncertainty[20 * k : 20 * k + 20].argmax()) for k in range(5)]
    assert sorted(chosen.order.tolist()) == expected
    assert (np.diff(uncertainty[chosen.order]) <= 0).all()
    assert chosen.similar.tolist() == [20] * 5


@pytest.mark.parametrize("count", [1, 7, 99, 100, 101, 150, 299, 300, 1000])
def test_no_photo_is_chosen_twice_and_as_many_as_wanted(count: int) -> None:
    embeddings = DRAWN.normal(size=(300, 16)).astype(np.float32)
    chosen = choose_next(embeddings, DRAWN.uniform(size=300), count, seed=1)
    assert len(set(chosen.order.tolist())) == len(chosen.order) == len(chosen.similar) == min(count, 300)
    assert (chosen.similar > 0).all() == (count < 300)


def test_all_photos_are_ordered_by_uncertainty_alone() -> None:
    uncertainty = np.array([0.2, 0.9, 0.5])
    assert choose_next(clustered(1, 3), uncertainty, 3, seed=0).order.tolist() == [1, 2, 0]


def test_the_same_seed_gives_the_same_photos() -> None:
    embeddings, uncertainty = DRAWN.normal(size=(200, 16)).astype(np.float32), DRAWN.uniform(size=200)
    first, again = (choose_next(embeddings, uncertainty, 20, seed=4).order for _ in range(2))
    assert (first == again).all()


@pytest.mark.parametrize(
    ("probability", "threshold", "expected"),
    [(0.5, 0.5, 1.0), (0.0, 0.5, 0.0), (1.0, 0.5, 0.0), (0.25, 0.5, 0.5), (0.75, 0.5, 0.5), (0.2, 0.2, 1.0)],
)
def test_a_photo_at_the_threshold_is_the_most_uncertain(probability: float, threshold: float, expected: float) -> None:
    assert uncertainty_of(np.array([probability]), threshold)[0] == pytest.approx(expected)


def test_near_copies_are_left_out() -> None:
    groups = np.array([0, 0, 1, 1, 2, 3, 3])
    taken = np.array([True, False, False, False, False, False, True])
    uncertainty = np.array([0.1, 0.9, 0.3, 0.4, 0.2, 0.9, 0.1])
    assert np.flatnonzero(first_of_groups(groups, taken, uncertainty)).tolist() == [3, 4]
