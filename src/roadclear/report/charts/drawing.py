"""The charts of a training, each an SVG string for a page: see `roadclear.report.charts.svg`.

Colour is never the only sign: lines differ in dashes and markers, too. Every chart has a description in words.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from roadclear.metrics.checks import check_both
from roadclear.metrics.curves import (
    GRID,
    operating_points,
    precision_band,
    rates_at,
    roc_band,
    threshold_curve,
)
from roadclear.metrics.intervals import Estimate
from roadclear.model.heads import Epoch
from roadclear.report.charts.svg import DASHES, INK, MARKERS, SERIES, TOP, Chart, Plot, Ticks, ticks
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities

if TYPE_CHECKING:
    from roadclear.metrics.calibration import Bin

_COLUMNS = 20
_UNIT = (-0.01, 1.02)
"""Ends of an axis from 0 to 1, with room for lines at both ends."""


def roc(positive: Bools, probability: Probabilities, threshold: float, groups: Indices | None = None) -> str:
    """The ROC curve with a 95% band.

    Args:
        positive: [n], whether the photo is of the positive class.
        probability: [n], probability of the positive class, in [0, 1].
        threshold: threshold that is marked on the curve, in [0, 1].
        groups: int [n], number of the group of each photo; None for no groups.

    Raises:
        DatasetError: the photos do not have both classes.
    """
    curve = operating_points(positive, probability)
    area = float(np.trapezoid(curve.recall, curve.false_rate))
    recall, false_rate = rates_at(positive, probability, threshold)
    chart = Chart(
        "roc",
        "ROC curve",
        f"Recall against false positive rate on {len(positive):,} photos. Area under the curve {area:.3f}; 1 is "
        f"perfect, 0.5 is guessing. At the threshold {threshold:.2f} the recall is {recall:.1%} at a false "
        f"positive rate of {false_rate:.1%}.",
    )
    plot = _unit_plot(chart, "False positive rate", "Recall")
    _band(plot, roc_band(positive, probability, groups))
    plot.line([0, 1], [0, 1], INK, DASHES[2], width=1, opacity=0.6)
    plot.line(curve.false_rate, curve.recall, SERIES[0])
    plot.mark(false_rate, recall, f"threshold {threshold:.2f}")
    plot.write(0.97, 0.06, f"area {area:.3f}", "end", 13)
    plot.write(0.6, 0.53, "guessing")
    return chart.svg()


def precision_recall(
    positive: Bools, probability: Probabilities, threshold: float, groups: Indices | None = None
) -> str:
    """Precision over recall, in steps (Davis and Goadrich 2006, section 4), with a 95% band.

    See `roc` for the arguments and errors.
    """
    curve = operating_points(positive, probability)
    recall, precision = curve.recall, curve.precision
    average = float(np.sum(np.diff(recall) * precision[1:]))
    share = float(positive.mean())
    recall_here, _ = rates_at(positive, probability, threshold)
    called = probability >= threshold
    precision_here = float(positive[called].mean()) if called.any() else 1.0
    chart = Chart(
        "precision-recall",
        "Precision and recall",
        f"Precision against recall on {len(positive):,} photos. Average precision {average:.3f}; guessing would "
        f"have {share:.3f}. At the threshold {threshold:.2f} the recall is {recall_here:.1%} and the precision "
        f"{precision_here:.1%}.",
    )
    plot = _unit_plot(chart, "Recall", "Precision")
    _band(plot, precision_band(positive, probability, groups))
    plot.line([0, 1], [share, share], INK, DASHES[2], width=1, opacity=0.6)
    # The precision between two recalls is that of the higher one.
    plot.line(np.repeat(recall, 2)[:-1], np.repeat(precision, 2)[1:], SERIES[0])
    plot.mark(recall_here, precision_here, f"threshold {threshold:.2f}")
    plot.write(0.03, 0.06, f"average precision {average:.3f}", size=13)
    plot.write(0.03, share + 0.02, "guessing")
    return chart.svg()


def reliability(before: "Sequence[Bin]", after: "Sequence[Bin] | None" = None) -> str:
    """Reliability diagram: share of positive photos by predicted probability, with 95% Wilson bars and bin counts.

    See DeGroot and Fienberg 1983; Niculescu-Mizil and Caruana 2005.

    Args:
        before: bins of the probabilities before calibration.
        after: bins of the probabilities after calibration; None where nothing was calibrated.
    """
    series = {"predicted": before} if after is None else {"after calibration": after, "before calibration": before}
    chart = Chart(
        "reliability",
        "Reliability",
        f"Share of positive photos against predicted probability, {sum(b.n for b in before):,} photos in bins. "
        + " ".join(f"{name.capitalize()}: {_worst_gap(bins)}" for name, bins in series.items()),
    )
    most = max(b.n for bins in series.values() for b in bins)
    plot = Plot(chart, _UNIT, _UNIT, TOP if after is None else TOP + 20, 196)
    counts = Plot(chart, _UNIT, (0, 1.1 * most), 208)
    plot.axes(Ticks((), ()), ticks(0, 1, 5, ".1f"), y_label="Share positive")
    counts.axes(ticks(0, 1, 5, ".1f"), ticks(0, most, 2, ",.0f", integers=True), "Predicted probability", "Photos")
    plot.line([0, 1], [0, 1], INK, DASHES[2], width=1, opacity=0.6)
    for number, bins in enumerate(series.values()):
        x, y = np.array([(b.probability, b.share) for b in bins]).T
        low, high = np.array([b.ci95 for b in bins]).T
        plot.error_bars(x, low, high, SERIES[number])
        plot.line(x, y, SERIES[number], DASHES[number], MARKERS[number], 1.6)
        width = 0.8 * (bins[0].high - bins[0].low) / len(series)
        middles = [(b.low + b.high) / 2 + width * (number + 0.5 - len(series) / 2) for b in bins]
        counts.bars(middles, [b.n for b in bins], width, SERIES[number], hatched=bool(number))
    if after is not None:
        names = enumerate(series)
        entries = [(name, SERIES[number], DASHES[number], MARKERS[number]) for number, name in names]
        chart.legend(entries, 34, in_a_row=True)
    return chart.svg()


def threshold_trade(
    positive: Bools,
    probability: Probabilities,
    threshold: float,
    labels: tuple[str, str],
    unsure: tuple[float, float] | None = None,
) -> str:
    """Recall, specificity and precision over the threshold.

    Args:
        positive: [n], whether the photo is of the positive class.
        probability: [n], probability of the positive class, in [0, 1].
        threshold: chosen threshold, which is marked, in [0, 1].
        labels: names of the positive and the negative class.
        unsure: lower and upper end of the shaded band in which the answer is "unsure", in [0, 1].

    Raises:
        DatasetError: the photos do not have both classes.
    """
    check_both(positive)
    options = threshold_curve(positive, probability)
    at = np.minimum(np.searchsorted(options.thresholds + options.gaps / 2, GRID), len(options.gaps) - 1)
    recall, specificity = options.recall[at], options.specificity[at]
    precision = np.where((recall == 0) & (specificity == 1), np.nan, options.precision[at])
    curves = {
        f"recall: {_short(labels[0])} found": recall,
        f"specificity: {_short(labels[1])} recognised": specificity,
        f"precision: right {_short(labels[0])} answers": precision,
    }
    here, false_rate = rates_at(positive, probability, threshold)
    chart = Chart(
        "threshold",
        "Metrics by threshold",
        f"Recall, specificity and precision over the threshold, on {len(positive):,} photos. At the chosen "
        f"threshold, {threshold:.2f}, {here:.1%} of the {labels[0]} photos are found and {1 - false_rate:.1%} of "
        f"the {labels[1]} photos are called {labels[1]}."
        + (f" From {unsure[0]:.2f} to {unsure[1]:.2f} the answer is unsure." if unsure else ""),
    )
    plot = _unit_plot(chart, "Threshold", "", top=88, form=".0%")
    if unsure is not None:
        plot.shade(*unsure)
        plot.write(sum(unsure) / 2, 0.26, "unsure", "middle")
    for number, values in enumerate(curves.values()):
        known = np.isfinite(values)
        plot.line(GRID[known], values[known], SERIES[number], DASHES[number])
    plot.vertical(threshold)
    plot.name_line(threshold, 0.12, f"threshold {threshold:.2f}")
    chart.legend([(name, SERIES[number], DASHES[number], "") for number, name in enumerate(curves)], 34)
    return chart.svg()


def histogram(positive: Bools, probability: Probabilities, threshold: float, labels: tuple[str, str]) -> str:
    """Histogram of the probabilities: photos of the positive class upwards, photos of the negative class downwards.

    See `threshold_trade` for the arguments.
    """
    edges = np.linspace(0.0, 1.0, _COLUMNS + 1)
    up, down = (np.histogram(probability[members], edges)[0] for members in (positive, ~positive))
    middles, width = (edges[1:] + edges[:-1]) / 2, 0.9 / _COLUMNS
    doubtful = int(np.sum((probability > 0.1) & (probability < 0.9)))
    chart = Chart(
        "histogram",
        "Probabilities by label",
        f"Histogram of the probability of {labels[0]}: {int(up.sum()):,} {labels[0]} photos upwards, "
        f"{int(down.sum()):,} {labels[1]} photos downwards. {doubtful:,} have a probability between 0.1 and 0.9.",
    )
    top = float(max(up.max(), down.max(), 1)) * 1.12
    plot = Plot(chart, (0, 1), (-top, top))
    steps = ticks(-top, top, 6, integers=True).values
    photos = Ticks(steps, tuple(f"{abs(step):,.0f}" for step in steps))
    plot.axes(ticks(0, 1, 5, ".1f"), photos, f"Probability of {_short(labels[0])}", "Photos")
    plot.bars(middles, up, width, SERIES[0])
    plot.bars(middles, -down, width, SERIES[1], hatched=True)
    plot.line([0, 1], [0, 0], INK, width=0.8)
    plot.vertical(threshold)
    plot.name_line(threshold, 0.95, f"threshold {threshold:.2f}")
    plot.write(0.03, top * 0.6, _short(labels[0]), size=13)
    plot.write(0.97, -top * 0.7, _short(labels[1]), "end", 13)
    return chart.svg()


def training_curves(history: Sequence[Epoch], best_epoch: int) -> str:
    """Losses above and validation accuracy below, by epoch. The epoch that was kept is marked."""
    epochs = [epoch.epoch for epoch in history]
    best = next(epoch for epoch in history if epoch.epoch == best_epoch)
    chart = Chart(
        "training",
        "Loss and accuracy by epoch",
        f"Training and validation loss, and validation accuracy, over {len(history):,} epochs. Epoch {best_epoch} "
        f"was kept: validation loss {best.validation_loss:.3f} nats, accuracy {best.validation_accuracy:.1%}.",
    )
    falling = [e.train_loss for e in history], [e.validation_loss for e in history]
    rising = [100 * e.validation_accuracy for e in history]
    across = epochs[0] - 0.5, epochs[-1] + 0.5
    highest, margin = 1.05 * max(map(max, falling)), 0.2 * max(max(rising) - min(rising), 0.5)
    losses = Plot(chart, across, (0, highest), bottom=196)
    accuracy = Plot(chart, across, (min(rising) - margin, max(rising) + margin), 208)
    losses.axes(Ticks((), ()), ticks(0, highest, 5), y_label="Loss (nats)")
    accuracy.axes(ticks(*across, 8, "g", integers=True), ticks(*accuracy.y, 2), "Epoch", "Accuracy (%)")
    for number, values in enumerate(falling):
        losses.line(epochs, values, SERIES[number], DASHES[1 - number])
    accuracy.line(epochs, rising, SERIES[1])
    for plot, value in ((losses, best.validation_loss), (accuracy, 100 * best.validation_accuracy)):
        plot.vertical(best_epoch, 1, 0.6)
        plot.line([best_epoch], [value], INK, marker="o")
    accuracy.name_line(best_epoch, 0.06, f"kept: epoch {best_epoch}")
    names = (("training", SERIES[0], DASHES[1], ""), ("validation", SERIES[1], DASHES[0], ""))
    chart.legend(names, TOP - 4, in_a_row=True)
    return chart.svg()


def learning_curve(photos: Sequence[int], accuracy: Sequence[Estimate]) -> str:
    """Learning curve: accuracy over the number of training photos, with its 95% interval.

    Args:
        photos: [k], numbers of training photos, rising.
        accuracy: [k], accuracy with each number of training photos.
    """
    values = np.array([estimate.value for estimate in accuracy])
    low, high = np.array([estimate.ci95 for estimate in accuracy]).T
    chart = Chart(
        "learning",
        "Learning curve",
        "Accuracy over the number of training photos: "
        + ", ".join(f"{value:.1%} with {n:,}" for n, value in zip(photos, values.tolist(), strict=True))
        + ".",
    )
    finite = low[np.isfinite(low)]
    least = 10 * float(np.floor(10 * min(finite.min(initial=1.0), np.nanmin(values)))) if len(values) else 0.0
    plot = Plot(chart, (0, 1.04 * max(photos)), (min(least, 90.0), 100.5))
    plot.axes(ticks(0, max(photos), 5, ",.0f"), ticks(*plot.y, 6), "Training photos", "Accuracy (%)")
    known = np.isfinite(low) & np.isfinite(high)
    plot.band(np.array(photos)[known], 100 * low[known], 100 * high[known], SERIES[0])
    plot.line(photos, 100 * values, SERIES[0], marker=MARKERS[0])
    return chart.svg()


def _unit_plot(chart: Chart, x_label: str, y_label: str, top: float = TOP, form: str = ".1f") -> Plot:
    """A plot whose axes go from 0 to 1."""
    plot = Plot(chart, _UNIT, _UNIT, top)
    plot.axes(ticks(0, 1, 5, ".1f"), ticks(0, 1, 5, form), x_label, y_label)
    return plot


def _band(plot: Plot, ends: tuple[Floats, Floats] | None) -> None:
    if ends is not None:
        plot.band(GRID, *ends, SERIES[0])


def _worst_gap(bins: "Sequence[Bin]") -> str:
    """The bin where predicted probability and observed share differ most; bins with few photos weigh less."""
    worst = max(bins, key=lambda b: min(b.n, 10) * abs(b.probability - b.share))
    return (
        f"the largest difference is at a predicted probability of {worst.probability:.2f}, where {worst.share:.1%} of "
        f"{worst.n:,} photos are positive."
    )


def _short(label: str) -> str:
    """A label that is short enough for a chart."""
    return label if len(label) <= 20 else f"{label[:19]}…"
