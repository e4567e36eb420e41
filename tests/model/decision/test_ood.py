"""Distances to the training photos are the textbook's, and the limit lets few photos of the same kind through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.neighbors import NearestNeighbors

from roadclear.model.decision.ood import FALSE_ALARMS, LARGEST_REFERENCE, fit_ood_reference, ood_layer, pool_activations


def drawn(n: int, seed: int, spread: float = 1.0) -> NDArray[np.float32]:
    """Embeddings around one direction."""
    draw = np.random.default_rng(seed)
    centre = np.random.default_rng(99).exponential(1, 1280)
    return np.asarray(np.maximum(centre + spread * draw.normal(0, 1, (n, 1280)), 0), dtype=np.float32)


class TestDistances:
    @pytest.mark.parametrize("n", [3, 10, 200])
    def test_they_are_those_of_scikit_learn(self, n: int) -> None:
        training, photos = drawn(n, 0), drawn(30, 1)
        found = fit_ood_reference(training, drawn(20, 2), seed=0)
        reference = NearestNeighbors(n_neighbors=min(10, n), metric="cosine").fit(training)
        expected = reference.kneighbors(photos)[0][:, -1]
        np.testing.assert_allclose(found.distances(photos), expected, atol=1e-3)

    @settings(max_examples=20)
    @given(factor=st.floats(0.01, 100))
    def test_brightness_of_an_embedding_does_not_matter(self, factor: float) -> None:
        found, photos = fit_ood_reference(drawn(50, 0), drawn(20, 2), seed=0), drawn(5, 1)
        scaled = photos * np.float32(factor)
        np.testing.assert_allclose(found.distances(scaled), found.distances(photos), atol=1e-5)

    def test_an_embedding_of_zeros_is_like_nothing(self) -> None:
        found = fit_ood_reference(drawn(50, 0), drawn(20, 2), seed=0)
        assert found.distances(np.zeros((1, 1280), np.float32)).tolist() == [1.0]

    def test_many_training_photos_are_sampled(self) -> None:
        found = fit_ood_reference(drawn(LARGEST_REFERENCE + 50, 0), drawn(20, 2), seed=0)
        assert found.references.shape == (LARGEST_REFERENCE, 1280)
        again = fit_ood_reference(drawn(LARGEST_REFERENCE + 50, 0), drawn(20, 2), seed=0)
        assert (found.references == again.references).all()


class TestVectors:
    @pytest.mark.parametrize(
        ("unfrozen", "tensor"),
        [
            (0, "embedding"),
            (1, "block_12/output"),
            (3, "block_12/output"),
            (4, "block_12/output"),
            (5, "block_11/output"),
            (8, "block_8/output"),
            (17, "stem/output"),
        ],
    )
    def test_they_are_made_by_frozen_layers(self, unfrozen: int, tensor: str) -> None:
        assert ood_layer(unfrozen) == tensor

    def test_a_channel_is_as_strong_as_its_activations_are_far_from_zero(self) -> None:
        activations = np.array([[[[1, -3], [0, 0]], [[-1, -1], [-1, -1]]]], dtype=np.float32)
        assert pool_activations(activations).tolist() == [[1.0, 1.0]]


class TestLimit:
    def test_false_alarms_are_as_rare_as_promised(self) -> None:
        """Over many draws of validation photos, one fresh photo each, so that the alarms are independent."""
        training, pool = drawn(40, 0), drawn(2000, 1)
        distances = fit_ood_reference(training, pool[:1], seed=0).distances(pool)
        alarms = []
        for start in range(0, 1960, 20):
            limit = fit_ood_reference(training, pool[start : start + 19], seed=0).limit
            alarms.append(bool(distances[start + 19] > limit))
        assert binomtest(sum(alarms), len(alarms)).proportion_ci(0.99).low <= FALSE_ALARMS

    def test_what_is_of_another_kind_lies_beyond(self) -> None:
        found = fit_ood_reference(drawn(50, 0, spread=0.3), drawn(40, 1, spread=0.3), seed=0)
        other = np.random.default_rng(5).exponential(1, (30, 1280)).astype(np.float32)
        assert (found.distances(other) > found.limit).all()

    @pytest.mark.parametrize("n", [1, 5, 18, 19, 40])
    def test_few_validation_photos_put_it_at_their_largest_distance(self, n: int) -> None:
        validation = drawn(n, 1)
        found = fit_ood_reference(drawn(50, 0), validation, seed=0)
        beyond = int((found.distances(validation) > found.limit).sum())
        assert beyond == (0 if n < 39 else 1)
