"""`roadclear validate`: a labelled folder -> metrics by cross-validation, and whether more photos would help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_unreadable, progress_bars, table
from roadclear.cli.options import JsonOption, PhotosArgument, takes
from roadclear.training.config import TrainSettings
from roadclear.utils.paths import default_cache_path
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
        Path | None, typer.Option(help="Folder to make, with tables of the results.", rich_help_panel="Output")
    ] = None,
    folds: Annotated[int, typer.Option(help="Number of folds.", rich_help_panel="Split")] = 5,
    repeats: Annotated[
        int, typer.Option(help="Number of repeats, each with other folds.", rich_help_panel="Split")
    ] = 3,
    json: JsonOption = False,
) -> None:
    """Test on every photo in turn, and see whether more photos would help.

    Photos are divided into folds by whole scenes. Each fold is tested by a head that was trained on the other folds,
    again and again with other folds. Few photos say more this way than in one test split. No model is made: use train.
    """
    from roadclear.data.dataset import load_folder
    from roadclear.features.cache import open_cache
    from roadclear.training.validation import validate as validate_photos
    from roadclear.training.validation import validation_values, write_validation
    from roadclear.utils.files import check_new_folder

    settings = TrainSettings.from_mapping(chosen)
    if out is not None:
        check_new_folder(out, [photos])
    dataset = load_folder(photos)
    with open_cache(default_cache_path()) as cache, progress_bars() as progress:
        result = validate_photos(dataset, settings, cache, folds, repeats, progress)
    if out is not None:
        write_validation(out, result)
    if json:
        print(to_json(validation_values(result)))
    print_unreadable(result.data.skipped)
    _summarise(result, out, stderr=json)
    exit_with(result.data.skipped)


def _summarise(result: "Validation", folder: Path | None, stderr: bool) -> None:
    from roadclear.training.learning_curve import describe_learning_curve
    from roadclear.training.validation import CURVE_HEAD

    out = console(stderr)
    crossed = result.crossed
    groups = len(set(result.data.groups.tolist()))
    unfrozen = result.settings.unfreeze
    tuned = f", {unfrozen} of 17 blocks fine-tuned" if unfrozen else ""
    out.print(
        f"Positive class: {result.data.positive} (the other: {result.data.negative}). {crossed.n:,} photos in "
        f"{groups:,} groups, {crossed.folds} folds, {crossed.repeats} times, {crossed.kind} head{tuned}."
    )
    metrics = table("", "mean", "95% interval", numbers=["mean", "95% interval"])
    for name, mean in crossed.metrics.items():
        metrics.add_row(name.replace("_", " "), f"{mean.value:.3f}", _interval(mean))
    out.print(metrics)
    out.print(f"Learning curve, {CURVE_HEAD} head{' on the frozen base' if unfrozen else ''}:")
    curve = table("photos", "accuracy", "95% interval", numbers=["photos", "accuracy", "95% interval"])
    for point in result.curve:
        curve.add_row(f"{point.photos:,}", f"{point.accuracy.value:.3f}", _interval(point.accuracy))
    out.print(curve)
    out.print(describe_learning_curve(result.curve))
    seconds = result.seconds
    out.print(
        f"{seconds['total']:.1f} s in all: {seconds['features']:.1f} s features, {seconds['heads']:.1f} s heads"
        f"{' and fine-tuning' if unfrozen else ''}, {seconds['curve']:.1f} s learning curve."
    )
    accuracy = crossed.metrics["accuracy"]
    out.print(
        f"\nAccuracy {accuracy.value:.1%} (95% interval {accuracy.ci95[0]:.1%} to {accuracy.ci95[1]:.1%})", style="bold"
    )
    if folder is not None:
        out.print(f"Tables: {printable(folder)}")


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.ci95[0]:.3f} to {estimate.ci95[1]:.3f}"
