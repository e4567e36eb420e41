"""Tables of results: the confusion matrix, the metrics beside the linear reference, and accuracy by source."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from roadclear.data.groups import one_sided_sources
from roadclear.data.split import TEST
from roadclear.metrics.classification import Confusion, Evaluation
from roadclear.metrics.intervals import Estimate, proportion
from roadclear.report.words import interval, percent
from roadclear.training.result import TrainingResult

# Meaning of each metric. {positive} and {negative} are replaced by the labels.
_MEANINGS = {
    "accuracy": "share of right answers",
    "balanced_accuracy": "mean of recall and specificity: both labels count the same",
    "precision": "share of photos called {positive} whose label is {positive}",
    "recall": "share of {positive} photos that are called {positive}",
    "specificity": "share of {negative} photos that are called {negative}",
    "f1": "harmonic mean of precision and recall",
    "roc_auc": "chance that one photo of {positive} gets a higher probability than one of {negative}",
    "average_precision": "mean precision over all values of recall",
    "brier": "mean squared error of the probability; 0 is perfect",
    "log_loss": "cross-entropy of the probability in nats; 0 is perfect",
}
_NAMES = {"f1": "F1 score", "roc_auc": "ROC AUC", "brier": "Brier score", "log_loss": "Log loss"}
_PERCENTAGES = {"accuracy", "balanced_accuracy", "precision", "recall", "specificity"}


@dataclass(frozen=True)
class MetricRow:
    """A metric of the model and of the linear reference head, or None where the model is that reference."""

    name: str
    meaning: str
    value: float
    shown: str
    interval: str
    reference: str | None
    reference_interval: str | None
    n: int


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix of the test photos.

    Attributes:
        counts: numbers of test photos.
        positives: number of photos of the positive class.
        negatives: number of photos of the negative class.
        positive_answers_right: share of right answers among positive answers, in [0, 1]; nan without positive answers.
        negative_answers_right: share of right answers among negative answers, in [0, 1]; nan without negative answers.
    """

    counts: Confusion
    positives: int
    negatives: int
    positive_answers_right: float
    negative_answers_right: float


@dataclass(frozen=True)
class SourceRow:
    """The photos of one source.

    Attributes:
        source: name of the source.
        positive: number of photos of the positive class.
        negative: number of photos of the negative class.
        shown: test accuracy on photos of the source, in words.
        interval: 95% interval of the test accuracy; empty without test photos.
        n: number of test photos.
        only: the only label of the source; None where the source has both labels or there is no other source.
    """

    source: str
    positive: int
    negative: int
    shown: str
    interval: str
    n: int
    only: str | None


def metric_rows(training: TrainingResult) -> dict[str, MetricRow]:
    """All metrics on the test photos, by name."""
    has_reference = training.facts.head != "linear" or training.settings.unfreeze != 0
    reference = training.linear[TEST] if has_reference else None
    metrics = training.evaluations[TEST].metrics
    return {name: _metric_row(name, estimate, reference, training) for name, estimate in metrics.items()}


def matrix(training: TrainingResult) -> Matrix:
    """The confusion matrix of the test photos."""
    c = training.evaluations[TEST].confusion
    positives, negatives = c.tp + c.fn, c.tn + c.fp
    right = [proportion(hits, answers).value for hits, answers in ((c.tp, c.tp + c.fp), (c.tn, c.tn + c.fn))]
    return Matrix(c, positives, negatives, *right)


def source_rows(training: TrainingResult) -> list[SourceRow]:
    """Photos and accuracy by source, the largest source first; empty where no sources are known."""
    photos, facts = training.data.photos, training.facts
    only = one_sided_sources(photos)
    counts = Counter((photo.source, photo.label) for photo in photos)
    sources = Counter(photo.source for photo in photos if photo.source is not None)
    rows = []
    for source, _ in sources.most_common():
        accuracy = training.per_source.get(source)
        rows.append(
            SourceRow(
                source=source,
                positive=counts[source, facts.positive],
                negative=counts[source, facts.negative],
                shown=percent(accuracy.value) if accuracy else "no test photo",
                interval=interval(accuracy) if accuracy else "",
                n=accuracy.n if accuracy else 0,
                only=only.get(source),
            )
        )
    return rows


def _metric_row(name: str, estimate: Estimate, reference: Evaluation | None, training: TrainingResult) -> MetricRow:
    as_percent = name in _PERCENTAGES
    labels: Mapping[str, str] = {"positive": training.facts.positive, "negative": training.facts.negative}
    other = reference.metrics[name] if reference is not None else None
    return MetricRow(
        name=_NAMES.get(name, name.replace("_", " ").capitalize()),
        meaning=_MEANINGS.get(name, "").format_map(labels),
        value=estimate.value,
        shown=_shown(estimate.value, as_percent),
        interval=interval(estimate, as_percent),
        reference=_shown(other.value, as_percent) if other else None,
        reference_interval=interval(other, as_percent) if other else None,
        n=estimate.n,
    )


def _shown(value: float, as_percent: bool) -> str:
    if not math.isfinite(value):
        return "not defined"
    return percent(value) if as_percent else f"{value:.3f}"
