"""Metrics are scikit-learn's, and their intervals are near those of a plain bootstrap of many photos."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from roadclear.errors import DatasetError
from roadclear.metrics.classification import Confusion, evaluate
from roadclear.utils.arrays import Bools, Floats

pytestmark = pytest.mark.slow

Photos = tuple[Bools, Floats]

PROPORTIONS = {"accuracy", "precision", "recall", "specificity"}
OTHERS = {"balanced_accuracy", "f1", "roc_auc", "average_precision", "brier", "log_loss"}
SMALLEST_CERTAIN = float(np.finfo(np.float32).eps)


def photos(*rows: tuple[int, float]) -> Photos:
    """Truth and probability, from rows of both."""
    return np.array([bool(truth) for truth, _ in rows]), np.array([p for _, p in rows], dtype=np.float64)


def drawn(n: int, seed: int = 0, share: float = 0.4) -> Photos:
    """Photos with probabilities that are right more often than not."""
    draw = np.random.default_rng(seed)
    positive = draw.random(n) < share
    return positive, 1 / (1 + np.exp(-draw.normal(np.where(positive, 1.0, -1.0), 1.0)))


@st.composite
def any_photos(draw: st.DrawFn, levels: int = 20, both_labels: bool = False) -> Photos:
    """Up to 40 photos, with many ties and the probabilities 0 and 1 among them."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, levels)), min_size=1, max_size=40))
    positive = np.array([truth for truth, _ in rows])
    if both_labels:
        assume(positive.any() and not positive.all())
    return positive, np.array([level / levels for _, level in rows])


def reference(positive: Bools, probability: Floats, called: Bools) -> dict[str, float]:
    """What scikit-learn makes of photos of both labels of which some are called positive."""
    certain = np.clip(probability, SMALLEST_CERTAIN, 1 - SMALLEST_CERTAIN)
    return {
        "accuracy": sklearn_metrics.accuracy_score(positive, called),
        "precision": sklearn_metrics.precision_score(positive, called, zero_division=np.nan),
        "recall": sklearn_metrics.recall_score(positive, called),
        "specificity": sklearn_metrics.recall_score(positive, called, pos_label=False),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(positive, called),
        "f1": sklearn_metrics.f1_score(positive, called),
        "roc_auc": sklearn_metrics.roc_auc_score(positive, probability),
        "average_precision": sklearn_metrics.average_precision_score(positive, probability),
        "brier": sklearn_metrics.brier_score_loss(positive, probability),
        "log_loss": sklearn_metrics.log_loss(positive, certain),
    }


class TestValues:
    @pytest.mark.parametrize(
        "sample",
        [
            photos((1, 0.9), (0, 0.1)),
            photos((1, 0.1), (0, 0.9)),
            photos((1, 0.5), (0, 0.5)),
            photos((1, 0.8), (1, 0.8), (0, 0.8), (0, 0.2)),
            photos((1, 1.0), (1, 0.0), (0, 1.0), (0, 0.0)),
            photos((0, 0.3), (0, 0.2), (0, 0.7), (1, 0.6)),
            drawn(200),
            drawn(31, seed=1, share=0.1),
        ],
        ids=["right", "wrong", "undecided", "ties", "certain", "imbalanced", "many", "few-positive"],
    )
    @pytest.mark.parametrize("threshold", [0.25, 0.5, 0.8, 0.99])
    def test_they_equal_scikit_learn(self, sample: Photos, threshold: float) -> None:
        self.check(*sample, threshold)

    @settings(max_examples=60, deadline=None)
    @given(sample=any_photos(both_labels=True), threshold=st.integers(1, 19))
    def test_they_equal_scikit_learn_on_any_photos(self, sample: Photos, threshold: int) -> None:
        self.check(*sample, threshold / 20)

    def check(self, positive: Bools, probability: Floats, threshold: float) -> None:
        found = {name: m.value for name, m in evaluate(positive, probability, threshold).metrics.items()}
        assert found == pytest.approx(reference(positive, probability, probability >= threshold), abs=1e-9, nan_ok=True)

    def test_single_precision_probabilities(self) -> None:
        positive, probability = drawn(100)
        single = probability.astype(np.float32)
        expected = reference(positive, single.astype(np.float64), single >= 0.5)
        found = {name: m.value for name, m in evaluate(positive, single, 0.5).metrics.items()}
        assert found == pytest.approx(expected, abs=1e-6)

    def test_certain_and_wrong_costs_much_but_is_finite(self) -> None:
        loss = evaluate(*photos((1, 0.0), (0, 1.0)), 0.5).metrics["log_loss"]
        assert loss.value == pytest.approx(-math.log(SMALLEST_CERTAIN))
        assert all(map(math.isfinite, loss.ci95))

    def test_confusion(self) -> None:
        sample = photos((1, 0.9), (1, 0.5), (1, 0.2), (0, 0.9), (0, 0.2), (0, 0.1), (0, 0.0))
        assert evaluate(*sample, 0.5).confusion == Confusion(tp=2, fp=1, fn=1, tn=3)

    def test_a_photo_at_the_threshold_is_called_positive(self) -> None:
        assert evaluate(*photos((1, 0.7), (0, 0.7)), 0.7).confusion == Confusion(tp=1, fp=1, fn=0, tn=0)

    def test_n_is_what_a_metric_rests_on(self) -> None:
        sample = photos((1, 0.9), (1, 0.9), (1, 0.2), (0, 0.9), (0, 0.1))
        found = {name: metric.n for name, metric in evaluate(*sample, 0.5).metrics.items()}
        assert found == dict.fromkeys(OTHERS, 5) | {"accuracy": 5, "precision": 3, "recall": 3, "specificity": 2}


class TestUndefined:
    """A metric with nothing to rest on is nan, and the others are there."""

    CASES = (
        (photos((1, 0.9), (1, 0.2)), 0.5, {"specificity", "balanced_accuracy", "roc_auc"}),
        (photos((0, 0.9), (0, 0.2)), 0.5, {"recall", "balanced_accuracy", "roc_auc", "average_precision"}),
        (photos((1, 0.3), (0, 0.2)), 0.5, {"precision"}),
        (photos((0, 0.3)), 0.5, {"precision", "recall", "balanced_accuracy", "f1", "roc_auc", "average_precision"}),
        (photos((1, 0.3)), 0.5, {"precision", "specificity", "balanced_accuracy", "roc_auc"}),
    )

    @pytest.mark.parametrize(("sample", "threshold", "undefined"), CASES)
    def test_table(self, sample: Photos, threshold: float, undefined: set[str]) -> None:
        found = evaluate(*sample, threshold).metrics
        assert {name for name, metric in found.items() if math.isnan(metric.value)} == undefined

    @settings(max_examples=60, deadline=None)
    @given(sample=any_photos(), threshold=st.floats(0, 1))
    def test_any_photos_can_be_evaluated(self, sample: Photos, threshold: float) -> None:
        evaluation = evaluate(*sample, threshold)
        assert evaluation.metrics.keys() == PROPORTIONS | OTHERS
        assert evaluation.threshold == threshold
        for metric in evaluation.metrics.values():
            low, high = metric.ci95
            assert math.isnan(low) == math.isnan(high)
            assert not low > high

    def test_no_photo_is_an_error(self) -> None:
        with pytest.raises(DatasetError, match="expected photos to evaluate on, found none"):
            evaluate(np.array([], bool), np.array([]), 0.5)


class TestNumbersThatAreNone:
    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.1, 1.0001, 5.0])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_a_probability_that_is_none_is_refused(self, wrong: float, kind: type) -> None:
        positive, probability = drawn(20)
        probability[7] = wrong
        with pytest.raises(DatasetError, match=r"expected probabilities from 0 to 1, found .* \(in 1 of 20\): check"):
            evaluate(positive, probability.astype(kind), 0.5)

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -0.1, 1.1])
    def test_so_is_a_threshold(self, wrong: float) -> None:
        with pytest.raises(DatasetError, match="expected a decision threshold from 0 to 1, found"):
            evaluate(*drawn(20), wrong)

    def test_0_and_1_are_probabilities_and_thresholds(self) -> None:
        for threshold in (0.0, 1.0):
            assert evaluate(*photos((1, 1.0), (0, 0.0)), threshold).threshold == threshold


class TestIntervals:
    @pytest.mark.parametrize("n", [12, 100, 3000])
    def test_the_interval_contains_the_value(self, n: int) -> None:
        for name, metric in evaluate(*drawn(n), 0.5).metrics.items():
            assert metric.ci95[0] <= metric.value <= metric.ci95[1], name

    def test_it_shrinks_with_the_root_of_n(self) -> None:
        widths = [
            {name: np.diff(m.ci95).item() for name, m in evaluate(*drawn(n), 0.5).metrics.items()}
            for n in (800, 12_800)
        ]
        for name in OTHERS:
            assert widths[0][name] / widths[1][name] == pytest.approx(4, rel=0.35), name

    def test_with_many_photos_it_is_near_a_plain_bootstrap(self) -> None:
        """Photos drawn with replacement, one resample after the other, measured by scikit-learn."""
        positive, probability = drawn(400)
        draw = np.random.default_rng(0)
        resamples = [draw.integers(0, 400, 400) for _ in range(100)]
        values = [reference(positive[r], probability[r], probability[r] >= 0.5) for r in resamples]
        found = evaluate(positive, probability, 0.5).metrics
        for name in OTHERS:
            expected = np.percentile([value[name] for value in values], [2.5, 97.5])
            assert found[name].ci95 == pytest.approx(expected, abs=0.35 * np.diff(expected).item()), name

    @settings(max_examples=60, deadline=None)
    @given(sample=any_photos(both_labels=True))
    def test_it_is_in_the_range_of_the_metric(self, sample: Photos) -> None:
        for name, metric in evaluate(*sample, 0.5).metrics.items():
            low, high = metric.ci95
            assert low >= 0, name
            assert name == "log_loss" or high <= 1, name

    @pytest.mark.parametrize("name", ["balanced_accuracy", "f1", "roc_auc", "average_precision"])
    def test_no_mistake_is_no_proof_of_perfection(self, name: str) -> None:
        """A bootstrap would give 1.000 to 1.000. The lower end rises with more photos."""
        lower = []
        for n in (10, 40, 400):
            positive = np.arange(n) % 2 == 0
            metric = evaluate(positive, np.where(positive, 0.99, 0.01), 0.5).metrics[name]
            assert (metric.value, metric.ci95[1]) == (1, 1)
            lower.append(metric.ci95[0])
        assert lower == sorted(lower)
        assert lower[0] < 0.85 and 0.96 < lower[2] < 1

    def test_models_that_rank_backwards_are_mirrored(self) -> None:
        positive, probability = drawn(60)
        found, other = (evaluate(positive, p, 0.5).metrics["roc_auc"] for p in (probability, 1 - probability))
        assert found.value == pytest.approx(1 - other.value)
        assert found.ci95 == pytest.approx((1 - other.ci95[1], 1 - other.ci95[0]))

    def test_the_order_of_the_photos_does_not_matter(self) -> None:
        positive, probability = drawn(50)
        turned = evaluate(positive[::-1], probability[::-1], 0.5)
        for name, metric in evaluate(positive, probability, 0.5).metrics.items():
            assert metric.ci95 == pytest.approx(turned.metrics[name].ci95), name

    def test_many_photos_need_little_memory(self) -> None:
        sample = drawn(100_000)
        tracemalloc.start()
        evaluate(*sample, 0.5)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 50e6
