"""The learning curve has the same test folds at every share, and its sentence claims no more than it shows."""

import re
from dataclasses import replace

import numpy as np
import pytest
from embedded import QUICK, drawn_sample

from roadclear.errors import OptionError
from roadclear.metrics.intervals import Estimate
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.learning_curve import LearningPoint, describe_learning_curve, learning_curve

LINEAR = replace(QUICK, head="linear")


@pytest.fixture(scope="module")
def sample() -> CrossValidationData:
    return drawn_sample()


class TestLearningCurve:
    @pytest.fixture(scope="class")
    @staticmethod
    def curve() -> tuple[LearningPoint, ...]:
        return learning_curve(drawn_sample(n=200, strength=1.0), LINEAR, shares=(0.1, 0.5, 1.0), repeats=1)

    def test_more_photos_are_more_accurate_where_there_is_much_to_learn(self, curve: tuple[LearningPoint, ...]) -> None:
        assert curve[0].accuracy.value < curve[-1].accuracy.value

    def test_points_say_how_many_photos_there_were(self, curve: tuple[LearningPoint, ...]) -> None:
        assert [point.share for point in curve] == [0.1, 0.5, 1.0]
        assert [point.photos for point in curve] == [pytest.approx(n, abs=3) for n in (16, 80, 160)]
        assert all(len(point.accuracies) == 5 for point in curve)

    def test_all_photos_are_what_cross_validation_has(self, sample: CrossValidationData) -> None:
        (whole,) = learning_curve(sample, LINEAR, shares=(1.0,), folds=4, repeats=2)
        crossed = cross_validate(sample, LINEAR, folds=4, repeats=2)
        assert whole.accuracies == tuple(fold.metrics["accuracy"].value for fold in crossed.evaluations)
        assert whole.accuracy.value == crossed.metrics["accuracy"].value

    def test_even_the_smallest_share_has_both_labels_on_both_sides(self, sample: CrossValidationData) -> None:
        (least,) = learning_curve(sample, LINEAR, shares=(0.001,), repeats=1)
        assert least.photos >= 4
        assert 0.2 < least.accuracy.value <= 1

    def test_a_dense_one_can_be_had(self, sample: CrossValidationData) -> None:
        assert len(learning_curve(sample, replace(QUICK, epochs=1), (0.2, 1.0), repeats=1)) == 2

    @pytest.mark.parametrize("shares", [(), (0.0, 1.0), (0.5, 0.5), (1.0, 0.5), (0.5, 1.1), (-0.1,), (float("nan"),)])
    def test_shares_out_of_range(self, sample: CrossValidationData, shares: tuple[float, ...]) -> None:
        with pytest.raises(OptionError, match="shares must rise"):
            learning_curve(sample, LINEAR, shares=shares, repeats=1)


def point(share: float, photos: int, *accuracies: float) -> LearningPoint:
    return LearningPoint(
        len(accuracies), share, photos, Estimate(float(np.mean(accuracies)), (0.0, 1.0), 100), accuracies
    )


class TestVerdict:
    @pytest.mark.parametrize(
        ("half", "full", "words"),
        [
            ((0.80, 0.82, 0.81, 0.80, 0.82), (0.90, 0.92, 0.90, 0.91, 0.92), r"\+10.0 points .*would probably help"),
            ((0.90, 0.91, 0.92, 0.90, 0.91), (0.90, 0.91, 0.92, 0.90, 0.91), r"\+0.0 points .*would hardly help"),
            ((0.900, 0.910, 0.920, 0.900, 0.910), (0.905, 0.905, 0.920, 0.905, 0.905), "would hardly help"),
            ((0.70, 0.90, 0.80, 0.95, 0.75), (0.90, 0.80, 0.95, 0.75, 0.85), "too wide to say"),
            ((0.95, 0.95, 0.90, 0.95, 0.95), (0.90, 0.90, 0.90, 0.90, 0.90), r"-4\.0 points .*would hardly help"),
        ],
        ids=["rises", "the same", "a flat end", "too noisy", "falls"],
    )
    def test_words(self, half: tuple[float, ...], full: tuple[float, ...], words: str) -> None:
        told = describe_learning_curve([point(0.1, 10, 0.5), point(0.5, 50, *half), point(1.0, 100, *full)])
        assert told.startswith("From 50 to 100 photos accuracy changed by ")
        assert re.search(words, told), told

    def test_the_interval_is_that_of_the_differences(self) -> None:
        # Differences 0.02 and 0.04: mean 0.03, s^2 = 0.0002, t(1) = 12.7062, sqrt((1/2 + 1/1) s^2) = 0.0173205.
        told = describe_learning_curve([point(0.5, 50, 0.80, 0.90), point(1.0, 100, 0.82, 0.94)])
        assert "changed by +3.0 points (95% interval -19.0 to +25.0): the interval is too wide" in told

    def test_one_point_tells_nothing(self) -> None:
        assert "One point of the learning curve does not show" in describe_learning_curve([point(1.0, 100, 0.9, 0.91)])
