"""`roadclear validate`: a labelled folder -> metrics by cross-validation, and whether more photos would help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_sentences, print_unreadable, progress_bars, table
from roadclear.cli.options import JsonOption, PhotosArgument, takes
from roadclear.training.config import TrainSettings
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.metrics.intervals import Estimate
    from roadclear.training.validation import Validation


@takes(TrainSettings, without=("split", "finetune_seconds"))
def validate(
    chosen: dict[str, Any],
    photos: PhotosArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for tables of the results. (default: no tables)", rich_help_panel="Output"),
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of cross-validation folds.", rich_help_panel="Split")] = 5,
    repeats: Annotated[
        int, typer.Option(help="Number of repeats of cross-validation, each with new folds.", rich_help_panel="Split")
    ] = 3,
    json: JsonOption = False,
) -> None:
    """Measure a training by cross-validation, and estimate whether more photos would help.

    Photos are divided into folds that keep groups whole. Each fold is tested by a head trained on the other folds.
    Every photo is tested, so a small collection says more here than in one test split. No model is saved: use train.
    """
    from roadclear.training.api import cross_validate
    from roadclear.training.validation import validation_values

    settings = TrainSettings.from_mapping(chosen)
    with progress_bars() as progress:
        result = cross_validate(photos, settings, folds, repeats, out=out, progress=progress)
    if json:
        print(to_json(validation_values(result)))
    print_unreadable(result.data.skipped)
    _summarise(result, out, stderr=json)
    exit_with(result.data.skipped)


def _summarise(result: "Validation", folder: Path | None, stderr: bool) -> None:
    from roadclear.report.messages import classes
    from roadclear.training.learning_curve import describe_learning_curve
    from roadclear.training.validation import CURVE_HEAD

    out = console(stderr)
    crossed, seconds = result.crossed, result.seconds
    groups = len(set(result.data.groups.tolist()))
    unfrozen = result.settings.unfreeze
    tuned = f", {unfrozen} of 17 blocks fine-tuned" if unfrozen else ""
    print_sentences(
        f"{classes(result.data.positive, result.data.negative)} {crossed.n:,} photos in {groups:,} groups, "
        f"{crossed.folds} folds, {crossed.repeats} {'repeat' if crossed.repeats == 1 else 'repeats'}, "
        f"{crossed.kind} head{tuned}.",
        out,
    )
    metrics = table("", "mean", "95% interval", numbers=["mean", "95% interval"])
    for name, mean in crossed.metrics.items():
        metrics.add_row(name.replace("_", " "), f"{mean.value:.3f}", _interval(mean))
    out.print(metrics)
    out.print(f"Learning curve of the {CURVE_HEAD} head{' on the frozen base' if unfrozen else ''}:")
    curve = table("photos", "accuracy", "95% interval", numbers=["photos", "accuracy", "95% interval"])
    for point in result.curve:
        curve.add_row(f"{point.photos:,}", f"{point.accuracy.value:.3f}", _interval(point.accuracy))
    out.print(curve)
    print_sentences(describe_learning_curve(result.curve), out)
    out.print(
        f"Time: {seconds['total']:.1f} s in total, of which {seconds['features']:.1f} s features, "
        f"{seconds['heads']:.1f} s heads{' and fine-tuning' if unfrozen else ''}, {seconds['curve']:.1f} s learning "
        "curve."
    )
    accuracy = crossed.metrics["accuracy"]
    out.print(
        f"\nAccuracy {accuracy.value:.1%} (95% interval {accuracy.ci95[0]:.1%} to {accuracy.ci95[1]:.1%})", style="bold"
    )
    if folder is not None:
        out.print(f"Tables: {printable(folder)}")


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.ci95[0]:.3f} to {estimate.ci95[1]:.3f}"
