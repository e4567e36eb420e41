"""`roadclear train`: a labelled folder -> a run folder."""

import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import (
    confusion_line,
    console,
    exit_with,
    metrics_table,
    percent_with_interval,
    progress_bars,
    shown,
    tell_unreadable,
)
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
from roadclear.errors import OptionError
from roadclear.training.config import TrainingOptions

if TYPE_CHECKING:
    from rich.console import Console

    from roadclear.training.recipe import Training

DEFAULTS = TrainingOptions()


def train(
    context: typer.Context,
    photos: Annotated[
        Path | None,
        typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to make. [default: runs/<time>]")] = None,
    config: Annotated[Path | None, typer.Option(help="Repeat the run of this config.toml.")] = None,
    positive: Annotated[str | None, typer.Option(help="Label whose probability is given.")] = DEFAULTS.positive,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = DEFAULTS.seed,
    size: Annotated[int, typer.Option(help="Side of the input square, a multiple of 32.")] = DEFAULTS.size,
    weights: Annotated[str, typer.Option(help="Backbone weights.")] = DEFAULTS.weights,
    weights_file: Annotated[str | None, typer.Option(help="Local copy of the weights.")] = DEFAULTS.weights_file,
    download_weights: Annotated[
        bool, typer.Option("--download-weights", help="Fetch weights that are not here.")
    ] = DEFAULTS.download_weights,
    split: Annotated[str | None, typer.Option(metavar="FILE", help="Use the split in this CSV.")] = DEFAULTS.split,
    group_by: GroupByOption = DEFAULTS.group_by,
    group_by_page: GroupByPageOption = DEFAULTS.group_by_page,
    group_by_author: GroupByAuthorOption = DEFAULTS.group_by_author,
    views: Annotated[int, typer.Option(help="Augmented views of a training photo.")] = DEFAULTS.views,
    rotation: Annotated[float, typer.Option(help="Largest rotation of a view, degrees.")] = DEFAULTS.rotation,
    zoom: Annotated[float, typer.Option(help="Largest zoom of a view, a share.")] = DEFAULTS.zoom,
    flip: Annotated[float, typer.Option(help="Probability that a view is mirrored.")] = DEFAULTS.flip,
    head: Annotated[str, typer.Option(metavar="dense|linear", help="Head on the base.")] = DEFAULTS.head,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = DEFAULTS.learning_rate,
    batch_size: Annotated[int, typer.Option(help="Photos a step.")] = DEFAULTS.batch_size,
    epochs: Annotated[int, typer.Option(help="At most that many.")] = DEFAULTS.epochs,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before it stops.")] = DEFAULTS.patience,
    unfreeze: Annotated[
        str,
        typer.Option(metavar="0-17|auto", parser=blocks, help="Last blocks of the base that train, too (PyTorch)."),
    ] = str(DEFAULTS.unfreeze),
    finetune_views: FinetuneViewsOption = DEFAULTS.finetune_views,
    finetune_seconds: Annotated[
        float, typer.Option(help="About what fine-tuning may take with --unfreeze auto.")
    ] = DEFAULTS.finetune_seconds,
    finetune_epochs: FinetuneEpochsOption = DEFAULTS.finetune_epochs,
    finetune_learning_rate: FinetuneLearningRateOption = DEFAULTS.finetune_learning_rate,
    device: DeviceOption = DEFAULTS.device,
    min_recall: Annotated[
        float | None, typer.Option(help="Choose the threshold for at least this recall.")
    ] = DEFAULTS.min_recall,
    min_precision: Annotated[
        float | None, typer.Option(help="Choose the threshold for at least this precision.")
    ] = DEFAULTS.min_precision,
    cost_fn: Annotated[float, typer.Option(help="Cost of a miss, for the threshold.")] = DEFAULTS.cost_fn,
    cost_fp: Annotated[float, typer.Option(help="Cost of a false alarm, for the threshold.")] = DEFAULTS.cost_fp,
    coverage: Annotated[
        float, typer.Option(help="Share of new photos to be answered rightly or with 'unsure'.")
    ] = DEFAULTS.coverage,
    engine: EngineOption = DEFAULTS.engine,
    precision: Annotated[
        str, typer.Option(metavar="f32|bf16", help="In which the base is computed.")
    ] = DEFAULTS.precision,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep features for later runs.")] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write report.html, some seconds more.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run folder if it is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Train on a folder of labelled photos, and test on those it did not see.

    PHOTOS has one subfolder a label (crossing/, empty/), or train/, val/ and test/ with these inside.
    """
    folder, options = _resolve(context, photos, config)
    run_folder = out if out is not None else _default_run_folder()

    from roadclear.data.dataset import choose_positive, load_folder, with_split
    from roadclear.features.cache import default_cache_path, open_cache
    from roadclear.report.page import build_report
    from roadclear.training.recipe import train as train_photos
    from roadclear.training.run_folder import REPORT_FILE, check_run_folder, metrics, to_json, write_run

    check_run_folder(run_folder, folder, overwrite)
    dataset = load_folder(folder)
    if options.split is not None:
        dataset = with_split(dataset, options.split)
    label = choose_positive(dataset.labels, options.positive)
    with open_cache(default_cache_path() if cache else None) as features, progress_bars() as progress:
        training = train_photos(dataset.photos, dataset.labels, label, options, features, report=progress)
        page = build_report(training, folder, progress) if report else None
    write_run(run_folder, folder, training, page, overwrite)
    if json:
        print(to_json(metrics(training)))
    tell_unreadable(training.placement.skipped)
    _summarise(training, run_folder, stderr=json)
    if report:
        console(json).print(f"Report: {shown(run_folder / REPORT_FILE)}")
    exit_with(training.placement.skipped)


def _resolve(context: typer.Context, photos: Path | None, config: Path | None) -> tuple[Path, TrainingOptions]:
    """The photos and options: what the command line says, then the configuration, then the defaults."""
    values: dict[str, Any] = {}
    if config is not None:
        from roadclear.training.run_folder import read_config

        configured, options = read_config(config)
        photos = photos or (Path(configured) if configured is not None else None)
        values = {name: value for name, value in asdict(options).items() if value is not None}
    for field in fields(TrainingOptions):
        source = context.get_parameter_source(field.name)
        if source is not None and source.name == "COMMANDLINE":
            values[field.name] = context.params[field.name]
    if photos is None:
        raise OptionError("expected a folder of photos, found none: roadclear train PHOTOS, or --config FILE")
    return photos, TrainingOptions.from_mapping(values)


def _default_run_folder() -> Path:
    from datetime import datetime

    return Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _summarise(training: "Training", run_folder: Path, stderr: bool) -> None:
    out = console(stderr)
    facts = training.facts
    test = training.evaluations["test"]
    parts = ", ".join(f"{n} {part}" for part, n in facts.training["photos"].items())
    out.print(f"Positive class: {facts.positive} (the other: {facts.negative}). Photos: {parts}.")
    unfrozen = training.options.unfreeze
    heads = {f"{facts.head} head, {unfrozen} of 17 blocks fine-tuned" if unfrozen else f"{facts.head} head": test}
    if facts.head != "linear" or unfrozen:
        heads["linear head, frozen base (reference)" if unfrozen else "linear head (reference)"] = training.linear[
            "test"
        ]
    _tell_what_was_tried(training, out)
    out.print(metrics_table(heads))
    out.print(confusion_line(test, facts.positive, facts.negative))
    _tell_what_to_rely_on(training, out)
    _tell_about_groups(training, out)
    timing = training.timing
    tuning = f", {timing['finetune_s']:.1f} s fine-tuning" if unfrozen else ""
    out.print(
        f"{timing['total_s']:.1f} s in all: {timing['features_s']:.1f} s features "
        f"({timing['views']:,} views computed), {timing['head_s']:.1f} s heads{tuning}."
    )
    out.print(f"\nTest accuracy {percent_with_interval(test)}", style="bold")
    quoted = shlex.quote(shown(run_folder))
    out.print(f"Model: {shown(run_folder / 'model.onnx')}   Try it: roadclear predict {quoted} PHOTO")


def _tell_what_was_tried(training: "Training", out: "Console") -> None:
    """How the number of blocks was chosen, where it was left to us."""
    if not training.trials:
        return
    tried = ", ".join(f"{trial.blocks} blocks {trial.validation_loss:.3f}" for trial in training.trials[1:])
    frozen = f"frozen base {training.trials[0].validation_loss:.3f}"
    out.print(
        f"Validation loss: {frozen}, {tried}. Taken: --unfreeze {training.options.unfreeze}."
        if tried
        else f"No time to fine-tune within {training.options.finetune_seconds:g} s: the base stays frozen. "
        "--finetune-seconds gives more."
    )


def _tell_what_to_rely_on(training: "Training", out: "Console") -> None:
    """Calibration, and how often the model says that it does not know."""
    facts, measured = training.facts, training.reliability["test"]
    out.print(
        f"Probabilities are off by {measured.after.expected_error:.3f} on average "
        f"(before calibration {measured.before.expected_error:.3f}; temperature {facts.temperature:.2f})."
    )
    covered = " and ".join(f"{share.value:.1%} of {label}" for label, share in measured.covered.items())
    out.print(
        f"Unsure: {measured.unsure.value:.1%} of test photos; {covered} are answered rightly or with 'unsure' "
        f"(promised: {facts.band.coverage:.1%})."
    )
    out.print(f"Unfamiliar: {measured.unfamiliar.value:.1%} of test photos, which are all false alarms.")


def _tell_about_groups(training: "Training", out: "Console") -> None:
    """What belongs together, what a split without that knowledge would have claimed, and what only one label has."""
    from roadclear.data.groups import one_sided_sources

    leakage = training.leakage
    out.print(
        f"{leakage.grouped_photos:,} photos belong together in {leakage.groups:,} groups, "
        f"{leakage.look_alike_photos:,} of them by their looks; in a plain random split {leakage.would_straddle:.0f} "
        "validation and test photos would have had such a relative in training."
    )
    if leakage.random_split_accuracy is not None and leakage.grouped_split_accuracy is not None:
        out.print(
            f"The linear head in random splits: {leakage.random_split_accuracy:.1%}; in splits that keep groups "
            f"together: {leakage.grouped_split_accuracy:.1%} (means of 5)."
        )
    if leakage.straddling:
        out.print(
            f"Warning: {leakage.straddling:,} validation or test photos look like, or show the scene of, a "
            "training photo. The given split flatters.",
            style="yellow",
        )
    for source, label in one_sided_sources(training.placement.photos).items():
        warning = f"Warning: all photos from {shown(source)} are {label}: a model may learn the source."
        out.print(warning, style="yellow")
