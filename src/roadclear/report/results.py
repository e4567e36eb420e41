"""Tables of results: the confusion matrix, the metrics beside the linear reference, and accuracy by source."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from roadclear.data.groups import one_sided_sources
from roadclear.data.split import TEST
from roadclear.metrics.classification import Confusion, Evaluation
from roadclear.metrics.intervals import Estimate, proportion
from roadclear.report.words import count, interval, percent
from roadclear.training.result import TrainingResult

# What each metric says, in words; {positive} and {negative} are the labels.
_MEANINGS = {
    "accuracy": "share of all photos that are called right",
    "balanced_accuracy": "mean of recall and specificity: each label counts half",
    "precision": "of the photos called {positive}, the share that are",
    "recall": "of the {positive} photos, the share that is found",
    "specificity": "of the {negative} photos, the share that is called {negative}",
    "f1": "harmonic mean of precision and recall",
    "roc_auc": "chance that a {positive} photo gets a higher probability than a {negative} one",
    "average_precision": "precision, averaged over all recalls",
    "brier": "mean squared error of the probability; 0 is perfect",
    "log_loss": "cross-entropy of the probability in nats; 0 is perfect",
}
_NAMES = {"f1": "F1 score", "roc_auc": "ROC AUC", "brier": "Brier score", "log_loss": "Log loss"}
_PERCENTAGES = {"accuracy", "balanced_accuracy", "precision", "recall", "specificity"}


@dataclass(frozen=True)
class MetricRow:
    """One metric: its value and interval on the test photos, and those of the linear reference, where it is another."""

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
    """The confusion matrix.

    Attributes:
        counts: of test photos.
        positives: photos of the positive class.
        negatives: photos of the other.
        positive_calls_right: of those called positive, the share that are; nan where none is.
        negative_calls_right: the same of those called negative.
        words: what it says.
    """

    counts: Confusion
    positives: int
    negatives: int
    positive_calls_right: float
    negative_calls_right: float
    words: str


@dataclass(frozen=True)
class SourceRow:
    """The photos of one source.

    Attributes:
        source: its name.
        positive: its positive photos.
        negative: its negative ones.
        shown: test accuracy on its photos, in words.
        interval: of it; "" without test photos.
        n: its test photos.
        only: its label, where it has photos of one only, and other sources have others.
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
    is_another = training.facts.head != "linear" or training.settings.unfreeze != 0
    reference = training.linear[TEST] if is_another else None
    metrics = training.evaluations[TEST].metrics
    return {name: _metric_row(name, estimate, reference, training) for name, estimate in metrics.items()}


def matrix(training: TrainingResult) -> Matrix:
    """The confusion matrix of the test photos."""
    c, facts = training.evaluations[TEST].confusion, training.facts
    positives, negatives = c.tp + c.fn, c.tn + c.fp
    words = (
        f"Of {count(positives, f'{facts.positive} photo')}, {c.tp:,} were found and {c.fn:,} missed. "
        f"Of {count(negatives, f'{facts.negative} photo')}, {c.tn:,} were called {facts.negative} and {c.fp:,} were "
        f"false alarms."
    )
    right = [proportion(hits, calls).value for hits, calls in ((c.tp, c.tp + c.fp), (c.tn, c.tn + c.fn))]
    return Matrix(c, positives, negatives, right[0], right[1], words)


def source_rows(training: TrainingResult) -> list[SourceRow]:
    """Photos and accuracy by source, the largest first; none where no source is told."""
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
