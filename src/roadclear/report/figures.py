"""The charts of a training, each with a sentence that says how to read it."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from roadclear.data.split import TEST
from roadclear.report import charts
from roadclear.report.words import percent
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult


@dataclass(frozen=True)
class Figure:
    """A chart, and how to read it."""

    svg: Markup
    caption: str


SMOOTHED = (
    " These epochs are those of the fine-tuning. Its losses are of smoothed labels, so that they never come near zero."
)


def training_figures(training: TrainingResult) -> list[Figure]:
    """The history of the training, or of the fine-tuning; none for the linear head alone, which has no epochs."""
    if training.facts.head == "linear" and not training.settings.unfreeze:
        return []
    fitted = training.head.trained
    return [
        _figure(
            charts.training_curves(fitted.history, fitted.best_epoch),
            "Training stops when the validation loss no longer falls, and the best epoch is kept. A validation curve "
            "that rises while the training curve falls is overfitting."
            + (SMOOTHED if training.settings.unfreeze else ""),
        )
    ]


def probability_figures(training: TrainingResult) -> list[Figure]:
    """Histogram, threshold, ROC and precision-recall on the test photos."""
    facts = training.facts
    labels = facts.positive, facts.negative
    test = np.array(training.data.splits) == TEST
    positive = np.array([photo.label == facts.positive for photo in training.data.photos])[test]
    probability = training.probabilities[test]
    unsure = (facts.band.low, facts.band.high) if facts.band.low < facts.band.high else None
    return [
        _figure(
            charts.histogram(positive, probability, facts.threshold, labels),
            f"A good model puts {facts.positive} photos on the right and {facts.negative} photos on the left, and few "
            "in between.",
        ),
        _figure(
            charts.threshold_trade(positive, probability, facts.threshold, labels, unsure),
            "A lower threshold finds more and raises more false alarms. The line is where this model decides."
            + (" In the grey band it is unsure." if unsure else ""),
        ),
        _figure(
            charts.roc(positive, probability, facts.threshold),
            "The closer to the upper left corner, the better. The band holds 95% of what other test photos of the "
            "same kind would show.",
        ),
        _figure(
            charts.precision_recall(positive, probability, facts.threshold),
            f"Of what is called {facts.positive}, how much is; for every share of {facts.positive} photos found.",
        ),
    ]


def reliability_figure(training: TrainingResult) -> Figure:
    """Whether a probability means what it says, before and after calibration, on the test photos."""
    measured = training.reliability[TEST]
    return _figure(
        charts.reliability(measured.before.bins, measured.after.bins),
        "On the dotted line, of the photos told 0.8 eight in ten are positive. Mean distance from it (expected "
        f"calibration error): {percent(measured.before.expected_error)} before calibration, "
        f"{percent(measured.after.expected_error)} after, by a temperature of {training.facts.temperature:.2f}. Bars "
        "are 95% intervals, wide where a bin has few photos.",
    )


def learning_figure(checks: Crosschecks) -> Figure:
    """Accuracy of the linear head over the number of photos."""
    return _figure(
        charts.learning_curve([point.photos for point in checks.curve], [point.accuracy for point in checks.curve]),
        "Each point is the mean of five folds; the band is the 95% interval of that mean.",
    )


def _figure(svg: str, caption: str) -> Figure:
    return Figure(Markup(svg), caption)  # noqa: S704, an SVG of ours, whose text is escaped
