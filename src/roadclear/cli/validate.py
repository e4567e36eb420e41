"""`roadclear validate`: a labelled folder -> metrics by cross-validation, and whether more photos would help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import (
    console,
    exit_with,
    print_sentences,
    print_unreadable,
    print_warning,
    progress_bars,
    table,
)
from roadclear.cli.options import (
    FeaturesOption,
    FoldsOption,
    JsonOption,
    OnOption,
    RepeatsOption,
    SourceArgument,
    takes,
)
from roadclear.cli.remarks import remark_on_positive
from roadclear.cli.shards import feature_shards
from roadclear.training.config import TrainSettings
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadclear.training.validation import Validation


PROMISE = ("max_error", "max_unsure", "confidence", "coverage", "cross_fit")
"""Options of the unsure band, which a cross-validation does not measure."""


@takes(TrainSettings, without=("split", *PROMISE))
def validate(
    chosen: dict[str, Any],
    photos: SourceArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="New folder for tables of the results. (default: no tables)", rich_help_panel="Output"
        ),
    ] = None,
    folds: FoldsOption = 5,
    repeats: RepeatsOption = 3,
    features: FeaturesOption = None,
    on: OnOption = "local",
    json: JsonOption = False,
) -> None:
    """Measure a training by cross-validation, and estimate whether more photos would help.

    Photos are divided into folds that keep groups whole. Each fold is tested by a head trained on the other folds.
    Every photo is tested, so a small collection says more here than in one test split. No model is saved: use train.
    """
    from roadclear.training.api import cross_validate
    from roadclear.training.validation import validation_values

    settings = TrainSettings.from_mapping(chosen)
    shards = feature_shards(features, on)
    if shards is None:
        remark_on_positive(photos, settings)
    with progress_bars() as progress:
        result = cross_validate(photos, settings, folds, repeats, out=out, features=shards, progress=progress)
    if json:
        print(to_json(validation_values(result)))
    print_unreadable(result.data.skipped)
    _summarise(result, out, stderr=json)
    exit_with(result.data.skipped)


def _blocks(unfrozen: "Sequence[int]") -> str:
    """Say how many blocks were fine-tuned, in how many folds where the folds chose ("4 (in 3 folds) or 0 (in 2)")."""
    from collections import Counter

    counts = Counter(unfrozen).most_common()
    if len(counts) == 1:
        return str(counts[0][0])
    return " or ".join(f"{blocks} (in {folds} folds)" for blocks, folds in counts)


def _summarise(result: "Validation", folder: Path | None, stderr: bool) -> None:
    import numpy as np

    from roadclear.report.headline import UNEQUAL
    from roadclear.report.messages import classes, conflict_warning
    from roadclear.report.starts import left_out_sentence, seen_in_folds_warning
    from roadclear.report.words import count, interval, number, percent
    from roadclear.training.leakage import find_label_conflicts
    from roadclear.training.learning_curve import describe_learning_curve
    from roadclear.training.validation import CURVE_HEAD

    out = console(stderr)
    crossed, seconds = result.crossed, result.seconds
    groups = len(set(result.data.groups.tolist()))
    unfrozen = result.settings.unfreeze
    tuned = f", {_blocks(result.unfrozen)} of 17 blocks fine-tuned" if unfrozen else ""
    print_sentences(
        f"{classes(result.data.positive, result.data.negative)} {count(crossed.n, 'photo')} in "
        f"{count(groups, 'group')}, {crossed.folds} folds, {count(crossed.repeats, 'repeat')}, "
        f"{crossed.kind} head{tuned}.",
        out,
    )
    metrics = table("", "mean", "95% interval", numbers=["mean", "95% interval"])
    for name, mean in crossed.metrics.items():
        metrics.add_row(name.replace("_", " "), number(mean.value), interval(mean, as_percent=False))
    out.print(metrics)
    out.print(f"Learning curve of the {CURVE_HEAD} head{' on the frozen base' if unfrozen else ''}:")
    curve = table("photos", "accuracy", "95% interval", numbers=["photos", "accuracy", "95% interval"])
    for point in result.curve:
        curve.add_row(f"{point.photos:,}", number(point.accuracy.value), interval(point.accuracy, as_percent=False))
    out.print(curve)
    print_sentences(describe_learning_curve(result.curve), out)
    out.print(
        f"Time: {seconds['total']:.1f} s in total, of which {seconds['features']:.1f} s features, "
        f"{seconds['heads']:.1f} s heads{' and fine-tuning' if unfrozen else ''}, {seconds['curve']:.1f} s learning "
        "curve."
    )
    accuracy, balanced = crossed.metrics["accuracy"], crossed.metrics["balanced_accuracy"]
    out.print(f"\nAccuracy {percent(accuracy.value)} (95% interval {interval(accuracy)})", style="bold")
    larger = max(float(np.mean(result.data.targets)), 1 - float(np.mean(result.data.targets)))
    if larger >= UNEQUAL:
        print_sentences(
            f"Balanced accuracy {percent(balanced.value)} (95% interval {interval(balanced)}): both labels count the "
            f"same. Always giving one answer would reach an accuracy of {percent(larger)}.",
            out,
        )
    print_sentences(left_out_sentence(result), out)
    print_warning(seen_in_folds_warning(result), out)
    print_warning(conflict_warning(find_label_conflicts(result.data)), out)
    if folder is not None:
        out.print(f"Tables: {printable(folder)}")
