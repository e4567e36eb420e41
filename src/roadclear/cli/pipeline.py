"""`roadclear run`: from two phrases to a tested model, one command after the other, under one folder."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.chaining import run_command
from roadclear.cli.collect import (
    LABELS,
    AllowPrivateOption,
    ContactOption,
    LabelsOption,
    LicencesOption,
    MaxRateOption,
    PerLabelOption,
    ProviderOption,
    ProxyOption,
    UrlsOption,
)
from roadclear.cli.console import (
    SOME_UNREADABLE,
    console,
    metrics_table,
    print_closing,
    print_sentences,
    print_unreadable,
)
from roadclear.errors import OutputError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto


def run(
    context: typer.Context,
    positive: Annotated[
        str, typer.Argument(help="What photos of the first label show, as words to search for.", show_default=False)
    ],
    negative: Annotated[
        str, typer.Argument(help="What photos of the second label show, as words to search for.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all results.", show_default=False)],
    labels: LabelsOption = LABELS,
    per_label: PerLabelOption = 300,
    provider: ProviderOption = None,
    urls: UrlsOption = None,
    licences: LicencesOption = None,
    contact: ContactOption = "",
    max_rate: MaxRateOption = 2.0,
    proxy: ProxyOption = None,
    allow_private: AllowPrivateOption = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Train again where OUT/run is older than OUT/split.csv.")
    ] = False,
) -> None:
    """Collect photos for two phrases, clean them, split them, train on them, and evaluate the model.

    OUT/photos, OUT/split.csv and OUT/run hold the results. After an interruption, the same command continues the work.
    To collect more photos, delete OUT/split.csv and add --overwrite. To train again, delete OUT/run.
    """
    photos, split, model = out / "photos", out / "split.csv", out / "run"
    _check_run(model, split, overwrite)
    collecting = [f"--positive={positive}", f"--negative={negative}", "--labels", *labels, f"--per-label={per_label}"]
    collecting += [f"--provider={name}" for name in provider or ()]
    collecting += [f"--urls={file}" for file in urls or ()]
    given = {"licenses": licences, "contact": contact, "proxy": proxy, "max-rate": max_rate}
    collecting += [f"--{option}={value}" for option, value in given.items() if value]
    collecting += ["--allow-private"] if allow_private else []
    drawing = f"--seed={seed}"
    make_split = [
        ["collect", str(photos), *collecting],
        ["clean", str(photos)],
        ["split", str(photos), f"--out={split}", drawing],
    ]
    make_model = ["train", str(photos), f"--split={split}", f"--positive={labels[0]}", f"--out={model}", drawing]
    codes = [] if _is_there(split) else [run_command(context, words) for words in make_split]
    if not _is_there(model, since=split):
        codes.append(run_command(context, [*make_model, *(["--overwrite"] if overwrite else [])]))
    unreadable = _evaluate(model, photos, split)
    print_unreadable(unreadable)
    sys.exit(SOME_UNREADABLE if unreadable or SOME_UNREADABLE in codes else 0)


def _check_run(run_folder: Path, split: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, to replace the run of an older split."""
    outdated = run_folder.exists() and (not split.exists() or run_folder.stat().st_mtime < split.stat().st_mtime)
    if outdated and not overwrite:
        raise OutputError(
            f"{str(run_folder)!r} is older than {str(split)!r}, or its split is gone: move the run away, or add "
            "--overwrite"
        )


def _is_there(result: Path, since: Path | None = None) -> bool:
    """Whether a result is there, and not older than the file that it is made from."""
    if not result.exists() or (since is not None and result.stat().st_mtime < since.stat().st_mtime):
        return False
    console().print(f"{printable(result)} is there already.")
    return True


def _evaluate(run_folder: Path, photos: Path, split: Path) -> "Sequence[UnreadablePhoto]":
    """Measure the model file on the test photos of the split; returns those that can no longer be read.

    The intervals count the groups of the training, which include look-alikes.
    """
    from roadclear.data.dataset import load_folder, with_split
    from roadclear.data.split import TEST
    from roadclear.model.evaluate import evaluate_model
    from roadclear.model.predictor import load
    from roadclear.training.run_folder import Run

    dataset = with_split(load_folder(photos), split)
    tested = tuple(photo for photo in dataset.photos if photo.split == TEST)
    groups = {row.file: row.group for row in Run.open(run_folder).splits}
    result = evaluate_model(load(run_folder), replace(dataset, photos=tested), groups=groups)
    out, facts = console(), result.model.facts
    out.print("\nThe model file on the test photos", style="bold")
    out.print(metrics_table({f"positive: {facts.positive}": result.evaluation}))
    print_sentences(result.counted, out)
    print_closing("Test accuracy", result.evaluation, facts.positive, facts.negative)
    return result.skipped
