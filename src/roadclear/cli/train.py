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
    print_unreadable,
    progress_bars,
)
from roadclear.cli.options import CacheOption, JsonOption, OverwriteOption, takes
from roadclear.errors import OptionError
from roadclear.training.config import TrainSettings
from roadclear.utils.paths import default_cache_path
from roadclear.utils.tables import to_json
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from roadclear.training.result import TrainingResult

EXAMPLES = """Examples:

roadclear train photos/ --out runs/first

roadclear train photos/ --unfreeze auto --min-recall 0.99"""


@takes(TrainSettings)
def train(
    chosen: dict[str, Any],
    photos: Annotated[
        Path | None, typer.Argument(help="Folder with one subfolder of photos per label.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder to make. (default: runs/<time>)", rich_help_panel="Output")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Repeat the run of this config.toml.", rich_help_panel="Data")
    ] = None,
    cache: CacheOption = True,
    report: Annotated[
        bool,
        typer.Option("--report/--no-report", help="Write report.html, some seconds more.", rich_help_panel="Output"),
    ] = True,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train on a folder of labelled photos, and test on photos that the model did not see.

    PHOTOS has one subfolder per label (crossing/, empty/), or train/, val/ and test/ with these inside.
    """
    folder, settings = _resolve(photos, config, chosen)
    run_folder = out if out is not None else _default_run_folder()

    from roadclear.data.dataset import load_folder, with_split
    from roadclear.features.cache import open_cache
    from roadclear.report.page import build_report
    from roadclear.training.crosschecks import crosscheck
    from roadclear.training.recipe import train as train_dataset
    from roadclear.training.run_folder import REPORT_FILE, check_run_folder, metrics, write_run

    check_run_folder(run_folder, folder, overwrite)
    dataset = load_folder(folder)
    if settings.split is not None:
        dataset = with_split(dataset, settings.split)
    with open_cache(default_cache_path() if cache else None) as features, progress_bars() as progress:
        training = train_dataset(dataset, settings, features, progress)
        page = build_report(training, folder, crosscheck(training, progress)) if report else None
    write_run(run_folder, folder, training, page, overwrite)
    if json:
        print(to_json(metrics(training)))
    print_unreadable(training.data.skipped)
    _summarise(training, run_folder, stderr=json)
    if report:
        console(json).print(f"Report: {printable(run_folder / REPORT_FILE)}")
    exit_with(training.data.skipped)


def _resolve(photos: Path | None, config: Path | None, chosen: dict[str, Any]) -> tuple[Path, TrainSettings]:
    """The photos and settings: what the command line says, then the configuration, then the defaults."""
    values: dict[str, Any] = {}
    if config is not None:
        from roadclear.training.run_folder import read_config

        configured, settings = read_config(config)
        photos = photos or (Path(configured) if configured is not None else None)
        values = {name: value for name, value in asdict(settings).items() if value is not None}
    if photos is None:
        raise OptionError("expected a folder of photos, found none: roadclear train PHOTOS, or --config FILE")
    return photos, TrainSettings.from_mapping({**values, **chosen})


def _default_run_folder() -> Path:
    from datetime import datetime

    return Path("runs") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _summarise(training: "TrainingResult", run_folder: Path, stderr: bool) -> None:
    out = console(stderr)
    facts = training.facts
    test = training.evaluations["test"]
    parts = ", ".join(f"{n} {part}" for part, n in facts.training["photos"].items())
    out.print(f"Positive class: {facts.positive} (the other: {facts.negative}). Photos: {parts}.")
    unfrozen = training.settings.unfreeze
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
    quoted = shlex.quote(printable(run_folder))
    out.print(f"Model: {printable(run_folder / 'model.onnx')}   Try it: roadclear predict {quoted} PHOTO")


def _tell_what_was_tried(training: "TrainingResult", out: "Console") -> None:
    """How the number of blocks was chosen, where it was left to us."""
    if not training.trials:
        return
    tried = ", ".join(f"{trial.blocks} blocks {trial.validation_loss:.3f}" for trial in training.trials[1:])
    frozen = f"frozen base {training.trials[0].validation_loss:.3f}"
    out.print(
        f"Validation loss: {frozen}, {tried}. Taken: --unfreeze {training.settings.unfreeze}."
        if tried
        else f"No time to fine-tune within {training.settings.finetune_seconds:g} s: the base stays frozen. "
        "--finetune-seconds gives more."
    )


def _tell_what_to_rely_on(training: "TrainingResult", out: "Console") -> None:
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


def _tell_about_groups(training: "TrainingResult", out: "Console") -> None:
    """What belongs together, what a split without that knowledge would have claimed, and what only one label has."""
    from roadclear.data.groups import one_sided_sources

    leakage = training.leakage
    out.print(
        f"{leakage.grouped_photos:,} photos belong together in {leakage.groups:,} groups, "
        f"{leakage.look_alike_photos:,} of them by their looks; in a plain random split {leakage.expected_leaks:.0f} "
        "validation and test photos would have had such a relative in training."
    )
    if leakage.random_split_accuracy is not None and leakage.grouped_split_accuracy is not None:
        out.print(
            f"The linear head in random splits: {leakage.random_split_accuracy:.1%}; in splits that keep groups "
            f"together: {leakage.grouped_split_accuracy:.1%} (means of 5)."
        )
    if leakage.leaking_photos:
        out.print(
            f"Warning: {leakage.leaking_photos:,} validation or test photos look like, or show the scene of, a "
            "training photo. The given split flatters.",
            style="yellow",
        )
    for source, label in one_sided_sources(training.data.photos).items():
        warning = f"Warning: all photos from {printable(source)} are {label}: a model may learn the source."
        out.print(warning, style="yellow")
