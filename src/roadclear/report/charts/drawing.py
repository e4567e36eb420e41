"""The charts of a training, each an SVG string for a page: see `roadclear.report.charts.svg`.

Colour is never the only sign: lines differ in dashes and markers, too. Every chart has a description in words.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from roadclear.metrics.curves import (
    GRID,
    check_both,
    operating_points,
    precision_band,
    rates_at,
    roc_band,
    threshold_curve,
)
from roadclear.metrics.intervals import Estimate
from roadclear.model.heads import Epoch
from roadclear.report.charts.svg import DASHES, INK, MARKERS, SERIES, drawing, new_figure, to_svg
from roadclear.utils.arrays import Bools, Floats, Indices, Probabilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from roadclear.metrics.calibration import Bin

_COLUMNS = 20


def roc(positive: Bools, probability: Probabilities, threshold: float, groups: Indices | None = None) -> str:
    """The ROC curve with a 95% bootstrap band.

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
    with drawing():
        figure, (plot,) = new_figure()
        _band(plot, roc_band(positive, probability, groups))
        plot.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, alpha=0.6)
        plot.plot(curve.false_rate, curve.recall, color=SERIES[0])
        _mark(plot, false_rate, recall, f"threshold {threshold:.2f}")
        plot.text(0.97, 0.06, f"area {area:.3f}", ha="right", fontsize=13)
        plot.text(0.6, 0.53, "guessing", ha="left", fontsize=11, alpha=0.8)
        _unit_square(plot, "False positive rate", "Recall")
        plot.set_title("ROC curve")
        return to_svg(
            figure,
            "roc",
            "ROC curve",
            f"Recall against false positive rate on {len(positive):,} photos. Area under the curve {area:.3f}; 1 is "
            f"perfect, 0.5 is guessing. At the threshold {threshold:.2f} the recall is {recall:.1%} at a false "
            f"positive rate of {false_rate:.1%}.",
        )


def precision_recall(
    positive: Bools, probability: Probabilities, threshold: float, groups: Indices | None = None
) -> str:
    """Precision over recall, in steps (Davis and Goadrich 2006, section 4), with a 95% bootstrap band.

    See `roc` for the arguments and errors.
    """
    curve = operating_points(positive, probability)
    recall, precision = curve.recall, curve.precision
    average = float(np.sum(np.diff(recall) * precision[1:]))
    share = float(positive.mean())
    recall_here, _ = rates_at(positive, probability, threshold)
    called = probability >= threshold
    precision_here = float(positive[called].mean()) if called.any() else 1.0
    with drawing():
        figure, (plot,) = new_figure()
        _band(plot, precision_band(positive, probability, groups))
        plot.axhline(share, color=INK, linestyle=":", linewidth=1, alpha=0.6)
        plot.step(recall, precision, where="pre", color=SERIES[0])
        _mark(plot, recall_here, precision_here, f"threshold {threshold:.2f}")
        plot.text(0.03, 0.06, f"average precision {average:.3f}", fontsize=13)
        plot.text(0.03, share + 0.02, "guessing", fontsize=11, alpha=0.8)
        _unit_square(plot, "Recall", "Precision")
        plot.set_title("Precision and recall")
        return to_svg(
            figure,
            "precision-recall",
            "Precision and recall",
            f"Precision against recall on {len(positive):,} photos. Average precision {average:.3f}; guessing would "
            f"have {share:.3f}. At the threshold {threshold:.2f} the recall is {recall_here:.1%} and the precision "
            f"{precision_here:.1%}.",
        )


def reliability(before: "Sequence[Bin]", after: "Sequence[Bin] | None" = None) -> str:
    """Reliability diagram: share of positive photos by predicted probability, with 95% Wilson bars and bin counts.

    See DeGroot and Fienberg 1983; Niculescu-Mizil and Caruana 2005.

    Args:
        before: bins of the probabilities before calibration.
        after: bins of the probabilities after calibration; None where nothing was calibrated.
    """
    series = {"predicted": before} if after is None else {"after calibration": after, "before calibration": before}
    with drawing():
        figure, (plot, counts) = new_figure(3, 1, top=34 if after is None else 54)
        plot.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, alpha=0.6)
        for number, (name, bins) in enumerate(series.items()):
            x, y = np.array([(b.probability, b.share) for b in bins]).T
            low, high = np.array([b.ci95 for b in bins]).T
            plot.errorbar(
                x, y, (y - low, high - y), label=name, elinewidth=1, capsize=2, linewidth=1.6,
                color=SERIES[number], marker=MARKERS[number], linestyle=DASHES[number],
            )  # fmt: skip
            width = 0.8 * (bins[0].high - bins[0].low) / len(series)
            middles = [(b.low + b.high) / 2 + width * (number + 0.5 - len(series) / 2) for b in bins]
            hatch = "//////" if number else None
            counts.bar(middles, [b.n for b in bins], width, color=SERIES[number], alpha=0.75, hatch=hatch, linewidth=0)
        _unit_square(plot, "", "Share positive")
        if after is not None:
            plot.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.1, ncols=2)
        counts.set(xlabel="Predicted probability", ylabel="Photos")
        counts.locator_params(axis="y", nbins=2, integer=True)
        plot.set_title("Reliability", pad=10 if after is None else 28)
        figure.align_ylabels()
        return to_svg(
            figure,
            "reliability",
            "Reliability",
            f"Share of positive photos against predicted probability, {sum(b.n for b in before):,} photos in bins. "
            + " ".join(f"{name.capitalize()}: {_worst_gap(bins)}" for name, bins in series.items()),
        )


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
    with drawing():
        figure, (plot,) = new_figure(top=88)
        if unsure is not None:
            plot.axvspan(*unsure, color=INK, alpha=0.1, linewidth=0)
            plot.text(sum(unsure) / 2, 0.26, "unsure", ha="center", fontsize=11)
        for number, (name, values) in enumerate(curves.items()):
            plot.plot(GRID, values, color=SERIES[number], linestyle=DASHES[number], label=name)
        plot.axvline(threshold, color=INK, linewidth=1.2)
        _name_line(plot, threshold, 0.12, f"threshold {threshold:.2f}")
        _unit_square(plot, "Threshold", "")
        plot.set_yticks(GRID[::20], [f"{share:.0%}" for share in GRID[::20]])
        plot.set_title("Metrics by threshold", pad=62)
        plot.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.1, labelspacing=0.25)
        return to_svg(
            figure,
            "threshold",
            "Metrics by threshold",
            f"Recall, specificity and precision over the threshold, on {len(positive):,} photos. At the chosen "
            f"threshold, {threshold:.2f}, {here:.1%} of the {labels[0]} photos are found and {1 - false_rate:.1%} of "
            f"the {labels[1]} photos are called {labels[1]}."
            + (f" From {unsure[0]:.2f} to {unsure[1]:.2f} the answer is unsure." if unsure else ""),
        )


def histogram(positive: Bools, probability: Probabilities, threshold: float, labels: tuple[str, str]) -> str:
    """Histogram of the probabilities: photos of the positive class upwards, photos of the negative class downwards.

    See `threshold_trade` for the arguments.
    """
    edges = np.linspace(0.0, 1.0, _COLUMNS + 1)
    up, down = (np.histogram(probability[members], edges)[0] for members in (positive, ~positive))
    middles, width = (edges[1:] + edges[:-1]) / 2, 0.9 / _COLUMNS
    doubtful = int(np.sum((probability > 0.1) & (probability < 0.9)))
    with drawing():
        figure, (plot,) = new_figure()
        plot.bar(middles, up, width, color=SERIES[0], linewidth=0)
        plot.bar(middles, -down, width, color=SERIES[1], linewidth=0, hatch="//////")
        plot.axhline(0, color=INK, linewidth=0.8)
        plot.axvline(threshold, color=INK, linewidth=1.2)
        top = float(max(up.max(), down.max(), 1)) * 1.12
        _name_line(plot, threshold, 0.95, f"threshold {threshold:.2f}")
        plot.text(0.03, top * 0.6, _short(labels[0]), fontsize=13)
        plot.text(0.97, -top * 0.7, _short(labels[1]), fontsize=13, ha="right")
        plot.set(xlim=(0, 1), ylim=(-top, top), xlabel=f"Probability of {_short(labels[0])}", ylabel="Photos")
        plot.locator_params(axis="y", nbins=6, integer=True)
        plot.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        plot.set_title("Probabilities by label")
        return to_svg(
            figure,
            "histogram",
            "Probabilities by label",
            f"Histogram of the probability of {labels[0]}: {int(up.sum()):,} {labels[0]} photos upwards, "
            f"{int(down.sum()):,} {labels[1]} photos downwards. {doubtful:,} have a probability between 0.1 and 0.9.",
        )


def training_curves(history: Sequence[Epoch], best_epoch: int) -> str:
    """Losses above and validation accuracy below, by epoch. The epoch that was kept is marked."""
    epochs = [epoch.epoch for epoch in history]
    best = next(epoch for epoch in history if epoch.epoch == best_epoch)
    with drawing():
        figure, (losses, accuracy) = new_figure(3, 2)
        losses.plot(epochs, [e.train_loss for e in history], color=SERIES[0], linestyle=DASHES[1], label="training")
        losses.plot(epochs, [e.validation_loss for e in history], color=SERIES[1], label="validation")
        losses.set(ylabel="Loss (nats)", ylim=(0, None))
        losses.legend(loc="upper right", borderaxespad=0.1)
        accuracy.plot(epochs, [100 * e.validation_accuracy for e in history], color=SERIES[1])
        accuracy.set(xlabel="Epoch", ylabel="Accuracy (%)")
        accuracy.locator_params(axis="x", integer=True)
        accuracy.margins(y=0.2)
        for plot, value in ((losses, best.validation_loss), (accuracy, 100 * best.validation_accuracy)):
            plot.axvline(best_epoch, color=INK, linewidth=1, alpha=0.6)
            plot.plot(best_epoch, value, color=INK, marker="o")
        _name_line(accuracy, best_epoch, 0.06, f"kept: epoch {best_epoch}")
        losses.set_title("Loss and accuracy by epoch")
        figure.align_ylabels()
        return to_svg(
            figure,
            "training",
            "Loss and accuracy by epoch",
            f"Training and validation loss, and validation accuracy, over {len(history):,} epochs. Epoch {best_epoch} "
            f"was kept: validation loss {best.validation_loss:.3f} nats, accuracy {best.validation_accuracy:.1%}.",
        )


def learning_curve(photos: Sequence[int], accuracy: Sequence[Estimate]) -> str:
    """Learning curve: accuracy over the number of training photos, with its 95% interval.

    Args:
        photos: [k], numbers of training photos, rising.
        accuracy: [k], accuracy with each number of training photos.
    """
    values = np.array([estimate.value for estimate in accuracy])
    low, high = np.array([estimate.ci95 for estimate in accuracy]).T
    with drawing():
        figure, (plot,) = new_figure()
        plot.fill_between(photos, 100 * low, 100 * high, color=SERIES[0], alpha=0.16, linewidth=0)
        plot.plot(photos, 100 * values, color=SERIES[0], marker=MARKERS[0])
        plot.set(xlim=(0, None), ylim=(10 * np.floor(10 * low.min()), 100.5))
        plot.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
        plot.set(xlabel="Training photos", ylabel="Accuracy (%)")
        plot.set_title("Learning curve")
        return to_svg(
            figure,
            "learning",
            "Learning curve",
            "Accuracy over the number of training photos: "
            + ", ".join(f"{value:.1%} with {n:,}" for n, value in zip(photos, values.tolist(), strict=True))
            + ".",
        )


def _band(plot: "Axes", ends: tuple[Floats, Floats] | None) -> None:
    if ends is not None:
        plot.fill_between(GRID, *ends, color=SERIES[0], alpha=0.16, linewidth=0)


def _mark(plot: "Axes", x: float, y: float, text: str) -> None:
    """Draw a point with its name, on the side with room."""
    plot.plot(x, y, color=INK, marker="o")
    side, gap = ("left", 9) if x < 0.5 else ("right", -9)
    plot.annotate(text, (x, y), (gap, -16), textcoords="offset points", ha=side, fontsize=11)


def _name_line(plot: "Axes", x: float, height: float, text: str) -> None:
    """Write the name of a vertical line at x, at a share of the plot's height, on the side with room."""
    low, high = plot.get_xlim()
    side, gap = ("left", 5) if x < (low + high) / 2 else ("right", -5)
    plot.annotate(
        text,
        (x, height),
        (gap, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha=side,
        fontsize=11,
    )


def _unit_square(plot: "Axes", x_label: str, y_label: str) -> None:
    plot.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=x_label, ylabel=y_label)


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
