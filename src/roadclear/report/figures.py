"""The charts of a training, each with a sentence that says how to read it."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from roadclear import charts
from roadclear.calibration import expected_calibration_error, reliability_bins
from roadclear.head import probabilities
from roadclear.report.words import percent
from roadclear.split import TEST
from roadclear.training import Training


@dataclass(frozen=True)
class Figure:
    """A chart, and how to read it."""

    svg: Markup
    caption: str


def training_figures(training: Training) -> list[Figure]:
    """The history of the training; none for the linear head, which has no epochs."""
    if training.facts.head == "linear":
        return []
    fitted = training.fitted
    return [
        _figure(
            charts.training_curves(fitted.history, fitted.best_epoch),
            "Training stops when the validation loss no longer falls, and the best epoch is kept. A validation curve "
            "that rises while the training curve falls is overfitting.",
        )
    ]


def probability_figures(training: Training) -> list[Figure]:
    """ROC, precision-recall, threshold, histogram and reliability on the test photos.

    Curves that need photos of both labels are left out where the test photos have one.
    """
    facts = training.facts
    labels = facts.positive, facts.negative
    test = np.array(training.placement.parts) == TEST
    positive = np.array([photo.label == facts.positive for photo in training.placement.photos])[test]
    probability = training.probabilities[test]
    figures = [
        _figure(
            charts.histogram(positive, probability, facts.threshold, labels),
            f"A good model puts {facts.positive} photos on the right and {facts.negative} photos on the left, and few "
            "in between.",
        )
    ]
    if positive.any() and not positive.all():
        figures += [
            _figure(
                charts.threshold_trade(positive, probability, facts.threshold, labels),
                "A lower threshold finds more and raises more false alarms. The line is where this model decides.",
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
    return figures


def reliability_figure(training: Training) -> Figure:
    """Whether a probability means what it says, before and after calibration, on the test photos."""
    test = np.array(training.placement.parts) == TEST
    positive = np.array([photo.label == training.facts.positive for photo in training.placement.photos])[test]
    uncalibrated = probabilities(training.fitted.head, training.placement.embeddings[test])
    before = reliability_bins(positive, uncalibrated)
    after = reliability_bins(positive, training.probabilities[test])
    return _figure(
        charts.reliability(before, after),
        "On the dotted line, of the photos told 0.8 eight in ten are positive. Mean distance from it (expected "
        f"calibration error): {percent(expected_calibration_error(before))} before calibration, "
        f"{percent(expected_calibration_error(after))} after. Bars are 95% intervals, wide where a bin has few "
        "photos.",
    )


def _figure(svg: str, caption: str) -> Figure:
    return Figure(Markup(svg), caption)  # noqa: S704, an SVG of ours, whose text is escaped
