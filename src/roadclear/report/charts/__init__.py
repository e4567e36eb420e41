"""Charts of a training as SVG strings: `curves` has their numbers, `drawing` draws, `svg` makes them fit a page."""

from roadclear.report.charts.drawing import (
    histogram,
    learning_curve,
    precision_recall,
    reliability,
    roc,
    threshold_trade,
    training_curves,
)

__all__ = [
    "histogram",
    "learning_curve",
    "precision_recall",
    "reliability",
    "roc",
    "threshold_trade",
    "training_curves",
]
