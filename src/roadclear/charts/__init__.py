"""Charts of a training as SVG strings: `curves` has the numbers, `drawing` the charts, `svg` what a page can take up."""

from roadclear.charts.drawing import (
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
