"""`roadclear train`: a labelled folder -> a run folder."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_sentences, print_unreadable, print_warning, progress_bars
from roadclear.cli.options import CacheOption, FeaturesOption, JsonOption, OnOption, OverwriteOption, takes
from roadclear.cli.remarks import remark_on_positive
from roadclear.cli.shards import feature_shards
from roadclear.errors import OptionError
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.utils.executors import LOCAL, RAY
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from roadclear.training.result import TrainingResult
    from roadclear.training.run_folder import Run

_LINES = 16
"""Maximum number of lines of the summary, as long as file names and labels are short."""


@takes(TrainSettings)
def train(
    chosen: dict[str, Any],
    photos: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with one subfolder of photos per label, a ZIP or tar archive of such a folder, a CSV table "
            "with the columns file and label, or a Parquet file; here, or by an s3://, gs:// or https:// address. "
            "(default: the photos named in --config)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New run folder. (default: runs/<time>)", rich_help_panel="Output"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take the options of an earlier run from this config.toml.", rich_help_panel="Data"
        ),
    ] = None,
    cache: CacheOption = True,
    features: FeaturesOption = None,
    on: OnOption = LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of processes that fine-tune together with --on ray, one core each. (default: 2)",
            min=1,
            show_default=False,
            rich_help_panel="Fine-tuning",
        ),
    ] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder or s3:// address for checkpoints of fine-tuning with --on ray, which all machines can write. "
            "(default: a folder beside the cache)",
            show_default=False,
            rich_help_panel="Fine-tuning",
        ),
    ] = None,
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
    folder, settings = _resolve(photos, config, chosen, needed=features is None)
    run_folder = out if out is not None else _default_run_folder()

    from roadclear.report.page import build_report
    from roadclear.training.api import train as train_on_folder
    from roadclear.training.run_files import metrics
    from roadclear.training.run_folder import Run

    cluster = _cluster(settings, on, workers, checkpoints)
    shards = feature_shards(features, LOCAL if cluster is not None else on)
    if folder is not None and shards is None:
        remark_on_positive(folder, settings)
    with progress_bars() as progress:
        training = train_on_folder(
            folder,
            settings,
            out=run_folder,
            overwrite=overwrite,
            report=build_report if report else None,
            cache=cache,
            features=shards,
            cluster=cluster,
            progress=progress,
        )
    if json:
        print(to_json(metrics(training)))
    print_unreadable(training.data.skipped)
    run = Run.open(run_folder)
    _summarise(training, run, report, stderr=json)
    exit_with(training.data.skipped)


def _resolve(
    photos: Path | None, config: Path | None, chosen: dict[str, Any], needed: bool
) -> tuple[Path | None, TrainSettings]:
    """The photos and settings: what the command line says, then the configuration, then the defaults."""
    values: dict[str, Any] = {}
    if config is not None:
        from roadclear.training.run_files import read_config

        configured, settings = read_config(config)
        photos = photos or (Path(configured) if configured is not None else None)
        values = {name: value for name, value in asdict(settings).items() if value is not None}
    if photos is None and needed:
        raise OptionError(
            "expected a folder of photos, found none: name PHOTOS, or a run's configuration with --config"
        )
    return photos, TrainSettings.from_mapping({**values, **chosen})


def _cluster(settings: TrainSettings, on: str, workers: int | None, checkpoints: str | None) -> FinetuneCluster | None:
    """The cluster that fine-tunes; None where nothing is fine-tuned, or in this process."""
    if on != RAY or settings.unfreeze == 0:
        if workers is not None or checkpoints is not None:
            raise OptionError("--workers and --checkpoints are for fine-tuning on a cluster: add --on ray --unfreeze N")
        return None
    return FinetuneCluster(FinetuneCluster.workers if workers is None else workers, checkpoints)


def _default_run_folder() -> Path:
    from datetime import datetime

    return Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _summarise(training: "TrainingResult", run: "Run", with_report: bool, stderr: bool) -> None:
    """Print the number first, then warnings, and last what to do now. Everything else is in the report."""
    from roadclear.report import messages
    from roadclear.report.headline import headline
    from roadclear.report.starts import start_sentences

    out = console(stderr)
    facts, top = training.facts, headline(training, training.cross_validated)
    quoted = shlex.quote(printable(run.folder))
    everything = run.report_file if with_report else run.metrics_file
    lead = f"Test accuracy: {top.lead.replace('{sign}', '+-')}"
    last = [
        f"{'Report' if with_report else 'All numbers'}: {printable(everything)}",
        f"Model: {printable(run.model_file)}   Try it: roadclear predict {quoted} PHOTO",
    ]
    limit, promise = messages.time_limit_sentence(training), messages.promise_sentence(facts)
    details = [
        messages.lower_promise_sentence(facts),
        messages.confusion_sentences(training.evaluations["test"].confusion, facts.positive, facts.negative),
        _photos_sentence(training),
        messages.depth_sentences(training),
        start_sentences(training),
    ]
    room = _LINES - sum(_height(line, out) for line in (lead, promise, *last, limit))
    warnings = _fitting_warnings(top.warnings, room, out) if with_report else list(top.warnings)
    room -= sum(_height(f"Warning: {warning}", out) for warning in warnings)
    print_sentences(lead, out, style="bold")
    print_sentences(promise, out)
    for warning in warnings:
        print_warning(warning, out)
    for sentences in details:
        room -= _height(sentences, out)
        if room < 0:
            break
        print_sentences(sentences, out)
    for line in last:
        out.print(line)
    print_sentences(limit, out)


def _height(line: str, out: "Console") -> int:
    """Number of rows that a line takes: one in a file, several where a terminal wraps the line."""
    from rich.text import Text

    if not line:
        return 0
    return len(Text(printable(line)).wrap(out, out.width)) if out.is_terminal else 1


def _fitting_warnings(warnings: Sequence[str], room: int, out: "Console") -> list[str]:
    """The first warnings that fit into the rows, at least one, and how many more there are."""
    from roadclear.report.words import count

    def with_rest(shown: int) -> list[str]:
        rest = len(warnings) - shown
        return [*warnings[:shown], *([f"{count(rest, 'more warning')} in the report."] if rest else [])]

    for shown in range(len(warnings), 1, -1):
        if sum(_height(f"Warning: {warning}", out) for warning in with_rest(shown)) <= room:
            return with_rest(shown)
    return with_rest(min(1, len(warnings)))


def _photos_sentence(training: "TrainingResult") -> str:
    from roadclear.data.split import SPLITS
    from roadclear.report.messages import classes

    photos = training.facts.training["photos"]
    counts = ", ".join(f"{photos[split]:,} {split}" for split in SPLITS if split in photos)
    return f"{classes(training.facts.positive, training.facts.negative)} Photos: {counts}."
