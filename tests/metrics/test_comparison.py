"""Two models on the same photos: McNemar's exact test, paired differences, and words that claim no more."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from roadclear.errors import DatasetError
from roadclear.metrics.classification import evaluate
from roadclear.metrics.comparison import (
    COMPARED,
    Answers,
    Comparison,
    compare_answers,
    comparison_values,
    describe_comparison,
    mcnemar,
)
from roadclear.utils.arrays import Indices


def drawn_answers(truth: NDArray[np.bool_], skill: float, seed: int) -> Answers:
    logits = np.random.default_rng(seed).normal(np.where(truth, skill, -skill), 1.0)
    probability = 1 / (1 + np.exp(-logits))
    return Answers(probability, probability >= 0.5)


def by_rows(*rows: tuple[bool, float, float, int]) -> tuple[NDArray[np.bool_], Answers, Answers]:
    """Truth and both answers at the threshold 0.5, each row so many times."""
    truth, a, b = (np.array([row[k] for row in rows for _ in range(row[3])]) for k in range(3))
    return truth, Answers(a, a >= 0.5), Answers(b, b >= 0.5)


TRUTH = np.arange(120) % 2 == 0


class TestMcNemar:
    @pytest.mark.parametrize(
        ("only_a", "only_b", "p"),
        [
            (0, 0, 1.0),
            (3, 3, 1.0),
            (0, 1, 1.0),
            (0, 5, 0.0625),
            (0, 6, 0.03125),
            (1, 7, 0.0703125),
            (2, 8, 0.109375),
            (1, 9, 0.021484375),
            (10, 0, 0.001953125),
            (150, 86, 3.716e-05),  # Agresti, Categorical Data Analysis, approval of a prime minister in two surveys
        ],
    )
    def test_known_values(self, only_a: int, only_b: int, p: float) -> None:
        assert mcnemar(only_a, only_b) == pytest.approx(p, rel=2e-4)

    @given(st.integers(0, 60), st.integers(0, 60))
    def test_it_is_the_tail_of_a_fair_coin_twice(self, only_a: int, only_b: int) -> None:
        n = only_a + only_b
        tail = sum(Fraction(math.comb(n, k), 2**n) for k in range(min(only_a, only_b) + 1))
        assert mcnemar(only_a, only_b) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)

    @given(st.integers(0, 60), st.integers(0, 60))
    def test_it_takes_no_side(self, only_a: int, only_b: int) -> None:
        assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


class TestCompare:
    def test_counts(self) -> None:
        truth, a, b = by_rows((True, 0.9, 0.2, 3), (False, 0.9, 0.1, 5), (True, 0.8, 0.7, 4), (False, 0.6, 0.6, 2))
        comparison = compare_answers(truth, a, b)
        assert (comparison.n, comparison.only_a, comparison.only_b) == (14, 3, 5)
        assert comparison.p_value == mcnemar(3, 5)
        accuracy = comparison.metrics["accuracy"]
        assert (accuracy.a, accuracy.b) == (pytest.approx(7 / 14), pytest.approx(9 / 14))
        assert accuracy.difference.value == pytest.approx(2 / 14)

    def test_values_are_those_of_evaluate(self) -> None:
        a, b = drawn_answers(TRUTH, 1.0, 1), drawn_answers(TRUTH, 1.5, 2)
        comparison = compare_answers(TRUTH, a, b)
        assert set(comparison.metrics) == set(COMPARED)
        for name, pair in comparison.metrics.items():
            assert pair.a == pytest.approx(evaluate(TRUTH, a.probability, 0.5).metrics[name].value)
            assert pair.b == pytest.approx(evaluate(TRUTH, b.probability, 0.5).metrics[name].value)
            assert pair.difference.ci95[0] <= pair.difference.value <= pair.difference.ci95[1]

    @given(st.integers(0, 1000), st.booleans())
    @settings(max_examples=10)
    def test_swapping_the_models_turns_every_sign(self, seed: int, grouped: bool) -> None:
        a, b = drawn_answers(TRUTH, 1.0, seed), drawn_answers(TRUTH, 1.2, seed + 1)
        groups = np.arange(120) // 3 if grouped else None
        forth, back = compare_answers(TRUTH, a, b, groups), compare_answers(TRUTH, b, a, groups)
        assert (forth.only_a, forth.only_b, forth.p_value) == (back.only_b, back.only_a, back.p_value)
        for name in COMPARED:
            there, here = forth.metrics[name].difference, back.metrics[name].difference
            assert there.value == pytest.approx(-here.value)
            assert there.ci95 == (pytest.approx(-here.ci95[1]), pytest.approx(-here.ci95[0]))

    def test_a_model_does_not_differ_from_itself(self) -> None:
        a = drawn_answers(TRUTH, 1.0, 0)
        comparison = compare_answers(TRUTH, a, a)
        assert comparison.p_value == 1.0
        assert all(pair.difference.ci95 == (0.0, 0.0) for pair in comparison.metrics.values())
        assert comparison.better is None

    def test_the_interval_of_accuracy_is_that_of_paired_differences(self) -> None:
        # The difference is a mean of -1, 0 and 1; its interval is near the normal one of that mean.
        truth = np.ones(400, dtype=bool)
        a, b = np.ones(400, dtype=bool), np.ones(400, dtype=bool)
        a[:60], b[60:80] = False, False
        comparison = compare_answers(truth, Answers(a.astype(float), a), Answers(b.astype(float), b))
        gain = b.astype(float) - a.astype(float)
        half = 1.96 * gain.std() / math.sqrt(400)
        assert comparison.metrics["accuracy"].difference.ci95 == (
            pytest.approx(0.1 - half, abs=0.01),
            pytest.approx(0.1 + half, abs=0.01),
        )

    def test_photos_of_one_scene_count_as_one(self) -> None:
        a, b = drawn_answers(TRUTH[:24], 0.5, 0), drawn_answers(TRUTH[:24], 1.5, 1)
        rows = np.repeat(np.arange(24), 5)
        copied_a = Answers(a.probability[rows], a.predicted[rows])
        copied_b = Answers(b.probability[rows], b.predicted[rows])
        once = compare_answers(TRUTH[:24], a, b)
        copies = compare_answers(TRUTH[:24][rows], copied_a, copied_b, rows)
        assert (copies.n, copies.groups) == (120, 24)
        for name in COMPARED:
            # Five photos of a scene tell what one does. The half group that is added to shares makes a little of it.
            found, plain = (compared.metrics[name].difference for compared in (copies, once))
            assert found.value == pytest.approx(plain.value)
            assert np.diff(found.ci95) / np.diff(plain.ci95) == pytest.approx(1, abs=0.05), name

    def test_two_models_without_a_mistake_may_still_differ(self) -> None:
        right = np.where(TRUTH, 0.9, 0.1)
        surer = np.where(TRUTH, 0.95, 0.05)
        metrics = compare_answers(TRUTH, Answers(right, right > 0.5), Answers(surer, surer > 0.5)).metrics
        for name in ("accuracy", "balanced_accuracy", "roc_auc"):
            low, high = metrics[name].difference.ci95
            assert low < -0.005 and high > 0.005, name

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -0.1, 1.1])
    @pytest.mark.parametrize("of_b", [False, True])
    def test_a_probability_that_is_none_is_refused(self, wrong: float, of_b: bool) -> None:
        fine, broken = drawn_answers(TRUTH, 1.0, 0), drawn_answers(TRUTH, 1.0, 1)
        broken.probability[3] = wrong
        with pytest.raises(DatasetError, match="expected probabilities from 0 to 1, found"):
            compare_answers(TRUTH, *((fine, broken) if of_b else (broken, fine)))

    def test_one_label_leaves_undefined_what_needs_both(self) -> None:
        truth = np.ones(20, dtype=bool)
        comparison = compare_answers(truth, drawn_answers(truth, 1, 0), drawn_answers(truth, 1, 1))
        assert math.isnan(comparison.metrics["roc_auc"].difference.value)
        assert math.isnan(comparison.metrics["roc_auc"].difference.ci95[0])
        assert math.isfinite(comparison.metrics["accuracy"].difference.value)

    def test_no_photo(self) -> None:
        none = Answers(np.zeros(0), np.zeros(0, dtype=bool))
        with pytest.raises(DatasetError, match="found none: give photos"):
            compare_answers(np.zeros(0, dtype=bool), none, none)


class TestConclusion:
    @staticmethod
    def clear(better: int, worse: int, same: int = 60) -> Comparison:
        return compare_answers(*by_rows((True, 0.1, 0.9, better), (True, 0.9, 0.1, worse), (False, 0.2, 0.2, same)))

    @pytest.mark.parametrize(
        ("better", "worse", "words"),
        [
            (20, 2, "B is better on 82 photos; 22 were answered differently."),
            (2, 20, "A is better on 82 photos; 22 were answered differently."),
            (3, 0, "A and B cannot be told apart on 63 photos; 3 were answered differently."),
            (9, 7, "A and B cannot be told apart on 76 photos; 16 were answered differently."),
            (0, 0, "A and B cannot be told apart on 60 photos; 0 were answered differently."),
        ],
    )
    def test_words(self, better: int, worse: int, words: str) -> None:
        assert describe_comparison(self.clear(better, worse)) == words

    def test_one_scene_is_no_proof(self) -> None:
        truth, a, b = by_rows((True, 0.1, 0.9, 30), (True, 0.9, 0.9, 30), (False, 0.2, 0.2, 60))
        one_scene = np.concatenate([np.zeros(30, dtype=int), np.arange(1, 91)])
        assert compare_answers(truth, a, b).better == "B"
        assert compare_answers(truth, a, b, one_scene).better is None


class TestValues:
    def test_they_are_plain_and_undefined_ones_are_none(self) -> None:
        truth = np.ones(20, dtype=bool)
        comparison = compare_answers(truth, drawn_answers(truth, 1, 0), drawn_answers(truth, 1, 1))
        values = comparison_values(comparison)
        assert (values["photos"], values["groups"], values["better"]) == (20, 20, None)
        assert values["conclusion"] == describe_comparison(comparison)
        assert values["mcnemar"] == {
            "only_a": comparison.only_a,
            "only_b": comparison.only_b,
            "p": comparison.p_value,
        }
        assert list(values["metrics"]) == list(COMPARED)
        undefined = {"a": None, "b": None, "difference": {"value": None, "ci95": [None, None], "n": 20}}
        assert values["metrics"]["roc_auc"] == undefined
        assert values["metrics"]["accuracy"]["b"] == comparison.metrics["accuracy"].b


def drawn_pair(
    draw: np.random.Generator, scenes: int, photos: int
) -> tuple[NDArray[np.bool_], Answers, Answers, Indices]:
    """Two models of areas 0.8 and 0.85 that share a third of their noise; three quarters of the noise is by scene."""
    groups = np.repeat(np.arange(scenes), photos)
    truth = np.repeat(draw.permutation(scenes) < scenes // 2, photos)

    def noise() -> NDArray[np.float64]:
        return np.sqrt(0.75) * draw.normal(size=scenes)[groups] + 0.5 * draw.normal(size=len(groups))

    shared, answers = noise(), []
    for area in AREAS:
        half = norm.ppf(area) / np.sqrt(2)
        logit = np.where(truth, half, -half) + np.sqrt(1 / 3) * shared + np.sqrt(2 / 3) * noise()
        probability = 1 / (1 + np.exp(-logit))
        answers.append(Answers(probability, probability >= 0.5))
    return truth, answers[0], answers[1], groups


AREAS = (0.8, 0.85)


@pytest.mark.slow
@pytest.mark.parametrize(("scenes", "photos"), [(40, 3), (12, 10), (100, 1)])
def test_intervals_of_differences_hold_the_truth(scenes: int, photos: int) -> None:
    """300 pairs of test sets, with a standard error of 1.3 points. The bounds are 93% and 97% with 2 of these."""
    draw = np.random.default_rng(8)
    of_many = compare_answers(*drawn_pair(draw, 200_000, 1))
    truth = {name: pair.difference.value for name, pair in of_many.metrics.items()}
    held = dict.fromkeys(truth, 0)
    for _ in range(300):
        found = compare_answers(*drawn_pair(draw, scenes, photos)).metrics
        for name, value in truth.items():
            held[name] += found[name].difference.ci95[0] <= value <= found[name].difference.ci95[1]
    shares = {name: count / 300 for name, count in held.items()}
    assert min(shares.values()) >= 0.904 and max(shares.values()) <= 0.996, shares
