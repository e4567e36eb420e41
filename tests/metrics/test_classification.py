"""Metrics are scikit-learn's, and their intervals are those of a plain bootstrap."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from roadclear.errors import DatasetError
from roadclear.metrics.classification import Confusion, evaluate, weighted_metrics
from roadclear.utils.arrays import Bools, Floats

pytestmark = pytest.mark.slow

Photos = tuple[Bools, Floats]

PROPORTIONS = {"accuracy", "precision", "recall", "specificity"}
BOOTSTRAPPED = {"balanced_accuracy", "f1", "roc_auc", "average_precision", "brier", "log_loss"}
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


def reference(positive: Bools, probability: Floats, called: Bools, weight: Floats | None = None) -> dict[str, float]:
    """What scikit-learn makes of photos of both labels of which some are called positive."""
    weighted = {"sample_weight": weight}
    certain = np.clip(probability, SMALLEST_CERTAIN, 1 - SMALLEST_CERTAIN)
    return {
        "accuracy": sklearn_metrics.accuracy_score(positive, called, **weighted),
        "precision": sklearn_metrics.precision_score(positive, called, zero_division=np.nan, **weighted),
        "recall": sklearn_metrics.recall_score(positive, called, **weighted),
        "specificity": sklearn_metrics.recall_score(positive, called, pos_label=False, **weighted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(positive, called, **weighted),
        "f1": sklearn_metrics.f1_score(positive, called, **weighted),
        "roc_auc": sklearn_metrics.roc_auc_score(positive, probability, **weighted),
        "average_precision": sklearn_metrics.average_precision_score(positive, probability, **weighted),
        "brier": sklearn_metrics.brier_score_loss(positive, probability, **weighted),
        "log_loss": sklearn_metrics.log_loss(positive, certain, **weighted),
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

    @settings(max_examples=100, deadline=None)
    @given(sample=any_photos(both_labels=True), seed=st.integers(0, 1000))
    def test_those_of_weighted_photos_do_too(self, sample: Photos, seed: int) -> None:
        positive, probability = sample
        weight = np.random.default_rng(seed).integers(0, 4, len(positive)).astype(np.float64)
        assume(weight[positive].sum() and weight[~positive].sum())
        called = probability >= 0.5
        expected = reference(positive, probability, called, weight)
        found = weighted_metrics(positive, probability, called, weight[None])
        assert found.keys() == BOOTSTRAPPED | {"accuracy"}
        for name, values in found.items():
            assert values.tolist() == pytest.approx([expected[name]], abs=1e-9), name

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
        assert found == dict.fromkeys(BOOTSTRAPPED, 5) | {"accuracy": 5, "precision": 3, "recall": 3, "specificity": 2}


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
        assert evaluation.metrics.keys() == PROPORTIONS | BOOTSTRAPPED
        assert evaluation.threshold == threshold
        for metric in evaluation.metrics.values():
            low, high = metric.ci95
            assert math.isnan(low) == math.isnan(high)
            assert not low > high

    def test_no_photo_is_an_error(self) -> None:
        with pytest.raises(DatasetError, match="expected photos to evaluate on, found none"):
            evaluate(np.array([], bool), np.array([]), 0.5)


class TestBootstrap:
    @pytest.mark.parametrize("n", [12, 100, 3000])
    def test_the_interval_contains_the_value(self, n: int) -> None:
        for name, metric in evaluate(*drawn(n), 0.5).metrics.items():
            assert metric.ci95[0] <= metric.value <= metric.ci95[1], name

    def test_it_shrinks_with_the_root_of_n(self) -> None:
        widths = [
            {name: np.diff(m.ci95).item() for name, m in evaluate(*drawn(n), 0.5).metrics.items()} for n in (200, 3200)
        ]
        for name in BOOTSTRAPPED:
            assert widths[0][name] / widths[1][name] == pytest.approx(4, rel=0.35), name

    def test_it_equals_a_plain_bootstrap(self) -> None:
        """Photos drawn with replacement, one resample after the other, measured by scikit-learn."""
        positive, probability = drawn(80)
        draw = np.random.default_rng(0)
        resamples = [draw.integers(0, 80, 80) for _ in range(200)]
        values = [reference(positive[r], probability[r], probability[r] >= 0.5) for r in resamples]
        found = evaluate(positive, probability, 0.5).metrics
        for name in BOOTSTRAPPED:
            expected = np.percentile([value[name] for value in values], [2.5, 97.5])
            assert found[name].ci95 == pytest.approx(expected, abs=0.35 * np.diff(expected).item()), name

    def test_it_is_repeatable(self) -> None:
        assert evaluate(*drawn(50), 0.5) == evaluate(*drawn(50), 0.5)

    def test_many_photos_need_little_memory(self) -> None:
        """Resamples are drawn in blocks: 8,000 photos do not mean 8 million weights at once, many times over."""
        sample = drawn(8_000)
        tracemalloc.start()
        evaluate(*sample, 0.5)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200e6
