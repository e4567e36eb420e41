"""Every photo is tested by heads that saw neither the photo nor its scene."""

import os
from dataclasses import replace

import numpy as np
import pytest
from embedded import QUICK, drawn_sample

from roadclear.data.folds import Fold, draw_folds
from roadclear.errors import DatasetError
from roadclear.metrics.intervals import estimate
from roadclear.model.heads import probabilities
from roadclear.training.cross_validation import CrossValidation, CrossValidationData, cross_validate, fit_fold
from roadclear.utils.arrays import Floats, Indices

LINEAR = replace(QUICK, head="linear")


def reordered(sample: CrossValidationData, order: Indices) -> CrossValidationData:
    views = [view[order] for view in sample.views]
    return CrossValidationData(sample.embeddings[order], views, sample.targets[order], sample.groups[order])


@pytest.fixture(scope="module")
def sample() -> CrossValidationData:
    return drawn_sample()


@pytest.fixture(scope="module")
def linear(sample: CrossValidationData) -> CrossValidation:
    return cross_validate(sample, LINEAR, folds=4, repeats=2)


class TestCrossValidation:
    @pytest.mark.parametrize("kind", ["dense", "linear"])
    def test_shapes_and_ranges(self, sample: CrossValidationData, kind: str) -> None:
        crossed = cross_validate(sample, replace(QUICK, head=kind), folds=3, repeats=2)
        assert (crossed.kind, crossed.folds, crossed.repeats, crossed.n) == (kind, 3, 2, 90)
        assert crossed.by_repeat.shape == (2, 90)
        assert np.all((crossed.by_repeat > 0) & (crossed.by_repeat < 1))
        assert len(crossed.evaluations) == 6
        assert crossed.metrics["accuracy"].value > 0.7

    def test_the_probability_is_the_mean_of_the_repeats(self, linear: CrossValidation) -> None:
        assert np.array_equal(linear.probability, linear.by_repeat.mean(axis=0))
        assert not np.array_equal(linear.by_repeat[0], linear.by_repeat[1])
        assert np.array_equal(linear.predicted, linear.probability >= linear.threshold)

    def test_correct_says_whether_the_prediction_is(self, sample: CrossValidationData, linear: CrossValidation) -> None:
        assert np.array_equal(linear.correct, linear.predicted == (sample.targets == 1))

    def test_one_repeat_judges_at_the_folds_own_thresholds(self, sample: CrossValidationData) -> None:
        crossed = cross_validate(sample, replace(LINEAR, min_recall=0.9), folds=3, repeats=1)
        assert set(crossed.threshold) == {fold.threshold for fold in crossed.evaluations}
        assert crossed.correct.sum() == sum(
            fold.confusion.tp + fold.confusion.tn for fold in crossed.evaluations
        )  # fmt: skip

    def test_metrics_are_means_over_folds_with_the_corrected_interval(self, linear: CrossValidation) -> None:
        for name, mean in linear.metrics.items():
            values = np.array([fold.metrics[name].value for fold in linear.evaluations])
            assert mean.value == pytest.approx(values.mean())
            expected = estimate(values, 1 / 3, mean.n, np.inf if name == "log_loss" else 1.0)
            assert mean.ci95 == expected.ci95
        assert (linear.metrics["accuracy"].n, linear.metrics["recall"].n) == (90, 45)

    def test_photos_are_judged_by_heads_that_do_not_know_them(self) -> None:
        # Nothing but the photo itself tells its label: a head that had seen it would know, others can only guess.
        alone = drawn_sample(strength=0.0, n=200, seed=3)
        crossed = cross_validate(alone, LINEAR, folds=4, repeats=1)
        assert 0.3 < crossed.correct.mean() < 0.7

    def test_doubles_of_another_label_in_other_groups_are_caught_out(self) -> None:
        # A double in its own group is tested beside its other, and cannot be looked up.
        once = drawn_sample(strength=0.0, n=100, seed=4)
        twice = reordered(once, np.tile(np.arange(100), 2))
        together = cross_validate(twice, LINEAR, folds=4, repeats=1)
        apart = cross_validate(replace(twice, groups=np.arange(200)), LINEAR, folds=4, repeats=1)
        assert together.correct.mean() < 0.7 < apart.correct.mean()

    def test_the_order_of_photos_changes_but_rounding(
        self, sample: CrossValidationData, linear: CrossValidation
    ) -> None:
        order = np.random.default_rng(5).permutation(90)
        crossed = cross_validate(reordered(sample, order), LINEAR, folds=4, repeats=2)
        assert crossed.probability == pytest.approx(linear.probability[order], abs=0.01)

    @pytest.mark.parametrize("kind", ["dense", "linear"])
    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot tie a process to cores")
    def test_the_number_of_cores_changes_nothing(self, sample: CrossValidationData, kind: str) -> None:
        cores = os.sched_getaffinity(0)
        if len(cores) < 2:
            pytest.skip("there is but one core")
        on_all = cross_validate(sample, replace(QUICK, head=kind), folds=3, repeats=1)
        os.sched_setaffinity(0, {min(cores)})
        try:
            on_one = cross_validate(sample, replace(QUICK, head=kind), folds=3, repeats=1)
        finally:
            os.sched_setaffinity(0, cores)
        assert np.array_equal(on_all.by_repeat, on_one.by_repeat)

    def test_views_are_used_where_photos_are_trained_on(
        self, sample: CrossValidationData, linear: CrossValidation
    ) -> None:
        plain = cross_validate(replace(sample, views=()), LINEAR, folds=4, repeats=2)
        assert not np.array_equal(plain.by_repeat, linear.by_repeat)

    def test_progress_is_told(self, sample: CrossValidationData) -> None:
        told: list[tuple[str, int, int]] = []
        cross_validate(sample, LINEAR, 3, 1, lambda *progress: told.append(progress))
        assert told == [("Cross-validating", done, 3) for done in (1, 2, 3)]

    def test_too_few_photos(self) -> None:
        with pytest.raises(DatasetError, match="more scenes than the 5 folds"):
            cross_validate(drawn_sample(n=8), LINEAR)


class TestPredictFold:
    def test_it_is_asked_about_every_fold_in_turn_and_its_word_is_taken(self, sample: CrossValidationData) -> None:
        asked: list[Fold] = []

        def predict_fold(fold: Fold) -> tuple[float, Floats]:
            asked.append(fold)
            return 0.5 + len(asked) / 100, fold.test / 100

        told: list[tuple[str, int, int]] = []
        crossed = cross_validate(sample, LINEAR, 3, 2, lambda *progress: told.append(progress), predict_fold)
        for fold, drawn in zip(asked, draw_folds(sample.targets, sample.groups, 3, 2, QUICK.seed), strict=True):
            assert (fold.repeat, fold.seed) == (drawn.repeat, drawn.seed)
            assert np.array_equal(fold.test, drawn.test)
        assert np.array_equal(crossed.by_repeat, [np.arange(90) / 100] * 2)
        assert [fold.threshold for fold in crossed.evaluations] == [0.51, 0.52, 0.53, 0.54, 0.55, 0.56]
        assert told == [("Cross-validating", done, 6) for done in range(7)]

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["dense", "linear"])
    def test_one_by_the_same_heads_gives_the_same(self, sample: CrossValidationData, kind: str) -> None:
        def predict_fold(fold: Fold) -> tuple[float, Floats]:
            chosen = fit_fold(sample, fold, replace(QUICK, head=kind))
            return chosen.threshold, probabilities(chosen.head, sample.embeddings[fold.test])

        settings = replace(QUICK, head=kind)
        default = cross_validate(sample, settings, 3, 1)
        by_hand = cross_validate(sample, settings, 3, 1, predict_fold=predict_fold)
        assert by_hand.by_repeat == pytest.approx(default.by_repeat, abs=1e-3)
