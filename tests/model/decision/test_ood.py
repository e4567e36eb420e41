"""Distances to the training photos are the textbook's, and the limit lets few photos of the same kind through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from scipy.stats import binomtest
from sklearn.covariance import shrunk_covariance
from sklearn.neighbors import NearestNeighbors

from roadclear.model.decision.ood import (
    FALSE_ALARMS,
    LARGEST_REFERENCE,
    OodGaussian,
    OodReference,
    fit_ood,
    ood_layer,
    pool_activations,
)


def drawn(n: int, seed: int, spread: float = 1.0) -> NDArray[np.float32]:
    """Embeddings around one direction."""
    draw = np.random.default_rng(seed)
    centre = np.random.default_rng(99).exponential(1, 1280)
    return np.asarray(np.maximum(centre + spread * draw.normal(0, 1, (n, 1280)), 0), dtype=np.float32)


class TestDistances:
    @pytest.mark.parametrize("n", [3, 10, 200])
    def test_they_are_those_of_scikit_learn(self, n: int) -> None:
        training, photos = drawn(n, 0), drawn(30, 1)
        found = fit_ood(training, drawn(20, 2), seed=0)
        reference = NearestNeighbors(n_neighbors=min(10, n), metric="cosine").fit(training)
        expected = reference.kneighbors(photos)[0][:, -1]
        np.testing.assert_allclose(found.distances(photos), expected, atol=1e-3)

    @settings(max_examples=20)
    @given(factor=st.floats(0.01, 100))
    def test_brightness_of_an_embedding_does_not_matter(self, factor: float) -> None:
        found, photos = fit_ood(drawn(50, 0), drawn(20, 2), seed=0), drawn(5, 1)
        scaled = photos * np.float32(factor)
        np.testing.assert_allclose(found.distances(scaled), found.distances(photos), atol=1e-5)

    def test_an_embedding_of_zeros_is_like_nothing(self) -> None:
        found = fit_ood(drawn(50, 0), drawn(20, 2), seed=0)
        assert found.distances(np.zeros((1, 1280), np.float32)).tolist() == [1.0]

    def test_many_training_photos_are_sampled(self) -> None:
        found = fit_ood(drawn(LARGEST_REFERENCE + 50, 0), drawn(20, 2), seed=0)
        assert isinstance(found, OodReference)
        assert found.references.shape == (LARGEST_REFERENCE, 1280)
        again = fit_ood(drawn(LARGEST_REFERENCE + 50, 0), drawn(20, 2), seed=0)
        assert isinstance(again, OodReference)
        assert (found.references == again.references).all()


def correlated(n: int, seed: int) -> NDArray[np.float32]:
    """Vectors of an inner layer: 12 channels that differ in few directions."""
    draw = np.random.default_rng(seed)
    mixing = np.random.default_rng(98).normal(0, 1, (3, 12))
    return np.asarray(5 + draw.normal(0, 1, (n, 3)) @ mixing + draw.normal(0, 0.1, (n, 12)), dtype=np.float32)


class TestGaussian:
    @pytest.mark.parametrize("n", [12, 200])
    def test_its_distances_are_those_of_a_shrunk_covariance(self, n: int) -> None:
        training, photos = correlated(n, 0), correlated(30, 1)
        found = fit_ood(training, correlated(20, 2), 0, ood_layer(4))
        covariance = np.cov(training.astype(np.float64).T)
        shrunk = shrunk_covariance(covariance, shrinkage=0.1)
        squared = [mahalanobis(photo, training.mean(axis=0), np.linalg.inv(shrunk)) ** 2 / 12 for photo in photos]
        expected = 2 * np.array(squared) / (1 + np.array(squared))
        np.testing.assert_allclose(found.distances(photos), expected, rtol=1e-3, atol=1e-4)

    def test_a_rare_direction_is_far_and_a_common_one_is_near(self) -> None:
        training = correlated(300, 0)
        found = fit_ood(training, correlated(100, 1), 0, ood_layer(4))
        assert isinstance(found, OodGaussian)
        _, directions = np.linalg.eigh(np.cov(training.T))
        rare, common = (found.mean + 2 * directions[:, place] for place in (0, -1))
        distances = found.distances(np.stack([rare, common]).astype(np.float32))
        assert distances[0] > found.limit > distances[1]

    @pytest.mark.parametrize("value", [0.0, 5.0])
    def test_equal_training_vectors_have_distances(self, value: float) -> None:
        found = fit_ood(np.full((5, 12), value, np.float32), np.full((2, 12), value, np.float32), 0, ood_layer(4))
        distances = found.distances(np.stack([np.full(12, value), np.full(12, value + 1)]).astype(np.float32))
        assert distances == pytest.approx([0, 2], abs=1e-3)
        assert found.limit == pytest.approx(0)


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
        distances = fit_ood(training, pool[:1], seed=0).distances(pool)
        alarms = []
        for start in range(0, 1960, 20):
            limit = fit_ood(training, pool[start : start + 19], seed=0).limit
            alarms.append(bool(distances[start + 19] > limit))
        assert binomtest(sum(alarms), len(alarms)).proportion_ci(0.99).low <= FALSE_ALARMS

    def test_what_is_of_another_kind_lies_beyond(self) -> None:
        found = fit_ood(drawn(50, 0, spread=0.3), drawn(40, 1, spread=0.3), seed=0)
        other = np.random.default_rng(5).exponential(1, (30, 1280)).astype(np.float32)
        assert (found.distances(other) > found.limit).all()

    @pytest.mark.parametrize("n", [1, 5, 18, 19, 40])
    def test_few_validation_photos_put_it_at_their_largest_distance(self, n: int) -> None:
        validation = drawn(n, 1)
        found = fit_ood(drawn(50, 0), validation, seed=0)
        beyond = int((found.distances(validation) > found.limit).sum())
        assert beyond == (0 if n < 39 else 1)
