"""`roadclear validate`: a labelled folder -> metrics by cross-validation, and whether more photos would help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.console import console, exit_with, progress_bars, shown, table, tell_unreadable
from roadclear.cli.options import (
    DeviceOption,
    EngineOption,
    FinetuneEpochsOption,
    FinetuneLearningRateOption,
    FinetuneViewsOption,
    GroupByAuthorOption,
    GroupByOption,
    GroupByPageOption,
    JsonOption,
    blocks,
)
from roadclear.training.config import TrainingOptions

if TYPE_CHECKING:
    from roadclear.metrics.classification import Estimate
    from roadclear.training.validation import Validation

DEFAULTS = TrainingOptions()


def validate(
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    folds: Annotated[int, typer.Option(help="In how many to part the photos.")] = 5,
    repeats: Annotated[int, typer.Option(help="How often, each time otherwise.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder to make, with the tables.", show_default=False)] = None,
    positive: Annotated[str | None, typer.Option(help="Label whose probability is given.")] = DEFAULTS.positive,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = DEFAULTS.seed,
    size: Annotated[int, typer.Option(help="Side of the input square, a multiple of 32.")] = DEFAULTS.size,
    head: Annotated[str, typer.Option(metavar="dense|linear", help="Head on the base.")] = DEFAULTS.head,
    views: Annotated[int, typer.Option(help="Augmented views of a training photo.")] = DEFAULTS.views,
    unfreeze: Annotated[
        str, typer.Option(metavar="0-17", parser=blocks, help="Last blocks that train in each fold, too (PyTorch).")
    ] = str(DEFAULTS.unfreeze),
    finetune_views: FinetuneViewsOption = DEFAULTS.finetune_views,
    finetune_epochs: FinetuneEpochsOption = DEFAULTS.finetune_epochs,
    finetune_learning_rate: FinetuneLearningRateOption = DEFAULTS.finetune_learning_rate,
    device: DeviceOption = DEFAULTS.device,
    group_by: GroupByOption = DEFAULTS.group_by,
    group_by_page: GroupByPageOption = DEFAULTS.group_by_page,
    group_by_author: GroupByAuthorOption = DEFAULTS.group_by_author,
    engine: EngineOption = DEFAULTS.engine,
    json: JsonOption = False,
) -> None:
    """Test on every photo in turn, and see whether more photos would help.

    Photos are parted in folds by whole scenes; each fold is tested on by a head trained on the others, again and
    again with other folds. That says more of few photos than one test part, and makes no model: that is for train.
    """
    from roadclear.data.dataset import choose_positive, load_folder
    from roadclear.features.cache import default_cache_path, open_cache
    from roadclear.training.run_folder import to_json
    from roadclear.training.validation import validate as validate_photos
    from roadclear.training.validation import validation_values, write_validation
    from roadclear.utils.files import check_new_folder

    options = TrainingOptions(
        positive=positive, seed=seed, size=size, head=head, views=views, unfreeze=unfreeze,
        finetune_views=finetune_views, finetune_epochs=finetune_epochs, finetune_learning_rate=finetune_learning_rate,
        device=device, group_by=group_by, group_by_page=group_by_page, group_by_author=group_by_author, engine=engine,
    )  # fmt: skip
    if out is not None:
        check_new_folder(out, [photos])
    dataset = load_folder(photos)
    label = choose_positive(dataset.labels, positive)
    with open_cache(default_cache_path()) as cache, progress_bars() as report:
        result = validate_photos(dataset.photos, dataset.labels, label, options, cache, folds, repeats, report)
    if out is not None:
        write_validation(out, result)
    if json:
        print(to_json(validation_values(result)))
    tell_unreadable(result.placement.skipped)
    _summarise(result, out, stderr=json)
    exit_with(result.placement.skipped)


def _summarise(result: "Validation", folder: Path | None, stderr: bool) -> None:
    from roadclear.training.cross_validation import verdict
    from roadclear.training.validation import CURVE_HEAD

    out = console(stderr)
    crossed = result.crossed
    groups = len(set(result.placement.groups.tolist()))
    unfrozen = result.options.unfreeze
    tuned = f", {unfrozen} of 17 blocks fine-tuned" if unfrozen else ""
    out.print(
        f"Positive class: {result.labels[0]} (the other: {result.labels[1]}). {crossed.n:,} photos in {groups:,} "
        f"groups, {crossed.folds} folds, {crossed.repeats} times, {crossed.kind} head{tuned}."
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
    out.print(verdict(result.curve))
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
        out.print(f"Tables: {shown(folder)}")


def _interval(estimate: "Estimate") -> str:
    return f"{estimate.ci95[0]:.3f} to {estimate.ci95[1]:.3f}"
