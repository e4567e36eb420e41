"""Charts of a training as SVG strings. `drawing` draws the charts, `svg` makes them fit into a page."""

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
