"""`roadclear train`: a labelled folder -> a run folder."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import (
    confusion_line,
    console,
    exit_with,
    metrics_table,
    percent_with_interval,
    print_sentences,
    print_unreadable,
    print_warning,
    progress_bars,
)
from roadclear.cli.options import CacheOption, JsonOption, OverwriteOption, takes
from roadclear.errors import OptionError
from roadclear.training.config import TrainSettings
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from roadclear.metrics.classification import Evaluation
    from roadclear.training.result import TrainingResult
    from roadclear.training.run_folder import Run


@takes(TrainSettings)
def train(
    chosen: dict[str, Any],
    photos: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with one subfolder of photos per label. (default: the folder named in --config)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New run folder. (default: runs/<time>)", rich_help_panel="Output")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take the options of an earlier run from this config.toml.", rich_help_panel="Data"
        ),
    ] = None,
    cache: CacheOption = True,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report", help="Write report.html, which takes some seconds more.", rich_help_panel="Output"
        ),
    ] = True,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model on labelled photos, and test the model on photos held back from training.

    PHOTOS has one subfolder per label (crossing/ and empty/), or train/, val/ and test/, each with both labels inside.
    """
    folder, settings = _resolve(photos, config, chosen)
    run_folder = out if out is not None else _default_run_folder()

    from roadclear.report.page import build_report
    from roadclear.training.api import train as train_on_folder
    from roadclear.training.run_files import metrics
    from roadclear.training.run_folder import Run

    with progress_bars() as progress:
        training = train_on_folder(
            folder,
            settings,
            out=run_folder,
            overwrite=overwrite,
            report=build_report if report else None,
            cache=cache,
            progress=progress,
        )
    if json:
        print(to_json(metrics(training)))
    print_unreadable(training.data.skipped)
    run = Run.open(run_folder)
    _summarise(training, run, stderr=json)
    if report:
        console(json).print(f"Report: {printable(run.report_file)}")
    exit_with(training.data.skipped)


def _resolve(photos: Path | None, config: Path | None, chosen: dict[str, Any]) -> tuple[Path, TrainSettings]:
    """The photos and settings: what the command line says, then the configuration, then the defaults."""
    values: dict[str, Any] = {}
    if config is not None:
        from roadclear.training.run_files import read_config

        configured, settings = read_config(config)
        photos = photos or (Path(configured) if configured is not None else None)
        values = {name: value for name, value in asdict(settings).items() if value is not None}
    if photos is None:
        raise OptionError(
            "expected a folder of photos, found none: name PHOTOS, or a run's configuration with --config"
        )
    return photos, TrainSettings.from_mapping({**values, **chosen})


def _default_run_folder() -> Path:
    from datetime import datetime

    return Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _summarise(training: "TrainingResult", run: "Run", stderr: bool) -> None:
    from roadclear.data.split import SPLITS
    from roadclear.report import messages

    out = console(stderr)
    facts, reliability = training.facts, training.reliability["test"]
    photos = facts.training["photos"]
    counts = ", ".join(f"{photos[split]:,} {split}" for split in SPLITS if split in photos)
    print_sentences(f"{messages.classes(facts.positive, facts.negative)} Photos: {counts}.", out)
    print_sentences(messages.depth_sentences(training), out)
    out.print(metrics_table(_compared_heads(training)))
    print_sentences(confusion_line(training.evaluations["test"], facts.positive, facts.negative), out)
    print_sentences(messages.calibration_sentence(reliability, facts), out)
    print_sentences(messages.unsure_sentences(reliability, facts), out)
    print_sentences(messages.unfamiliar_sentences(reliability), out)
    print_sentences(" ".join(messages.group_sentences(training.leakage)), out)
    print_warning(messages.leak_warning(training.leakage), out)
    for warning in messages.source_warnings(training.data.photos, facts.positive, facts.negative):
        print_warning(warning, out)
    _print_timing(training, out)
    out.print(f"\nTest accuracy {percent_with_interval(training.evaluations['test'])}", style="bold")
    quoted = shlex.quote(printable(run.folder))
    out.print(f"Model: {printable(run.model_file)}   Try it: roadclear predict {quoted} PHOTO")


def _compared_heads(training: "TrainingResult") -> "dict[str, Evaluation]":
    """Test evaluations of the model and of the linear reference, unless the model is that reference."""
    kind, unfrozen = training.facts.head, training.settings.unfreeze
    name = f"{kind} head, {unfrozen} of 17 blocks fine-tuned" if unfrozen else f"{kind} head"
    heads = {name: training.evaluations["test"]}
    if kind != "linear" or unfrozen:
        reference = "linear head, frozen base (reference)" if unfrozen else "linear head (reference)"
        heads[reference] = training.linear["test"]
    return heads


def _print_timing(training: "TrainingResult", out: "Console") -> None:
    timing = training.timing
    tuning = f", {timing['finetune_s']:.1f} s fine-tuning" if training.settings.unfreeze else ""
    out.print(
        f"Time: {timing['total_s']:.1f} s in total, of which {timing['features_s']:.1f} s features "
        f"({timing['views']:,} views computed), {timing['head_s']:.1f} s heads{tuning}."
    )
