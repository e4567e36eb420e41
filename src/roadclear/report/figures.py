"""The charts of a training, each with sentences on how to read the chart."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from roadclear.data.split import TEST
from roadclear.report import charts
from roadclear.report.messages import calibration_sentence
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult


@dataclass(frozen=True)
class Figure:
    """A chart and its caption."""

    svg: Markup
    caption: str


SMOOTHED = " These are the epochs of fine-tuning. Fine-tuning smooths the labels, so losses stay well above zero."


def training_figures(training: TrainingResult) -> list[Figure]:
    """Loss and accuracy by epoch; none for the linear head on the frozen base, which has no epochs."""
    if training.facts.head == "linear" and not training.settings.unfreeze:
        return []
    fitted = training.head.trained
    return [
        _figure(
            charts.training_curves(fitted.history, fitted.best_epoch),
            "Training stops when the validation loss no longer falls. The epoch with the lowest validation loss is "
            "kept. A validation loss that rises while the training loss falls is a sign of overfitting."
            + (SMOOTHED if training.settings.unfreeze else ""),
        )
    ]


def probability_figures(training: TrainingResult) -> list[Figure]:
    """Histogram, threshold, ROC and precision-recall on the test photos."""
    facts = training.facts
    labels = facts.positive, facts.negative
    test = np.array(training.data.splits) == TEST
    positive = np.array([photo.label == facts.positive for photo in training.data.photos])[test]
    probability, groups = training.probabilities[test], training.data.groups[test]
    unsure = (facts.band.low, facts.band.high) if facts.band.low < facts.band.high else None
    return [
        _figure(
            charts.histogram(positive, probability, facts.threshold, labels),
            f"A good model puts {facts.positive} photos on the right, {facts.negative} photos on the left, and few "
            "photos in between.",
        ),
        _figure(
            charts.threshold_trade(positive, probability, facts.threshold, labels, unsure),
            f"A lower threshold finds more {facts.positive} photos and raises more false alarms. The vertical line "
            "is the threshold of this model." + (" In the grey band the model answers 'unsure'." if unsure else ""),
        ),
        _figure(
            charts.roc(positive, probability, facts.threshold, groups),
            "The closer the curve comes to the upper left corner, the better. The band is a 95% interval: "
            "other test photos of the same kind would mostly give a curve inside the band.",
        ),
        _figure(
            charts.precision_recall(positive, probability, facts.threshold, groups),
            f"Precision is the share of right answers among photos called {facts.positive}. Recall is the share of "
            f"{facts.positive} photos that are found. The band is a 95% interval at each recall.",
        ),
    ]


def reliability_figure(training: TrainingResult) -> Figure:
    """Reliability diagram of the test photos, before and after calibration."""
    measured = training.reliability[TEST]
    return _figure(
        charts.reliability(measured.before.bins, measured.after.bins),
        "On the dotted line, eight in ten of the photos with a probability of 0.8 are positive. "
        f"{calibration_sentence(measured, training.facts)} Bars are 95% intervals, which are wide where a bin has few "
        "photos.",
    )


def learning_figure(checks: Crosschecks) -> Figure:
    """Accuracy of the linear reference head over the number of training photos."""
    return _figure(
        charts.learning_curve([point.photos for point in checks.curve], [point.accuracy for point in checks.curve]),
        "Each point is the mean accuracy of five folds. The band is the 95% interval of the mean.",
    )


def _figure(svg: str, caption: str) -> Figure:
    return Figure(Markup(svg), caption)  # noqa: S704, drawn here, with its text escaped
