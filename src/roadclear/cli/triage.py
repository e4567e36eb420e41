"""`roadclear triage`: list photos that a person should review or label, and carry out the decisions of the person."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roadclear.cli.console import exit_with, print_unreadable, progress_bars
from roadclear.cli.options import CacheOption, FoldsOption, JsonOption, OverwriteOption, takes
from roadclear.cli.triage_lists import print_issues, print_issues_as_json, print_proposals, print_proposals_as_json
from roadclear.cli.triage_moves import move_photos
from roadclear.data.settings import GroupSettings, LabelSettings, SourceSettings
from roadclear.errors import DatasetError, OptionError
from roadclear.features.settings import EngineSettings
from roadclear.model.settings import HeadSettings
from roadclear.training.config import FinetuneSettings
from roadclear.utils.paths import default_cache_path
from roadclear.utils.storage import address_of, name_of

if TYPE_CHECKING:
    from roadclear.training.config import TrainSettings

_FOLDS, _REPEATS = 5, 3


@takes(
    LabelSettings,
    HeadSettings,
    GroupSettings,
    EngineSettings,
    FinetuneSettings,
    SourceSettings,
    without=(
        "precision",
        "learning_rate",
        "batch_size",
        "epochs",
        "patience",
        "finetune_views",
        "finetune_seconds",
        "finetune_epochs",
        "finetune_learning_rate",
        "balance_sources",
        "device",
    ),
    head="linear",
)
def triage(
    chosen: dict[str, Any],
    photos: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PHOTOS]",
            help="Folder with one subfolder of photos per label, a ZIP or tar archive of such a folder, a CSV table "
            "with the columns file and label, or a Parquet file; here, or by an s3://, gs:// or https:// address. With "
            "--unlabelled: decided photos move to the subfolders of a folder, which may be missing where there is a "
            "--model.",
            show_default=False,
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder, shards or address of unlabelled photos. Those are listed whose labels would help most, each "
            "with a prediction.",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A run folder, a model.onnx, or 'stock'. The model predicts unlabelled photos, and has a say about "
            "labelled ones that it was not trained on. (default: heads on the frozen base, trained on PHOTOS)",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    at_most: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Maximum number of unlabelled photos that are listed. (default: 50, or all with a --model)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="New folder for triage.csv and triage.html. (default: triage/<time>)",
            rich_help_panel="Output",
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Carry out the decisions of a decisions.csv or an edited triage.csv.",
            rich_help_panel="Output",
        ),
    ] = None,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo",
            help="Put back all photos that --apply moved since the last cleaning. With --unlabelled, put back all that "
            "came from DIR.",
            rich_help_panel="Output",
        ),
    ] = False,
    folds: FoldsOption = _FOLDS,
    repeats: Annotated[
        int | None,
        typer.Option(
            help="Number of repeats of cross-validation, each with new folds. (default: 3, or 1 with --unfreeze)",
            show_default=False,
            rich_help_panel="Split",
        ),
    ] = None,
    cache: CacheOption = True,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Find labels that are probably wrong, near-duplicates with other labels, and photos that the model is unsure of.

    With --unlabelled: find the photos to label next, or sort unlabelled photos by a model.

    Triage writes a table, triage.csv, and a page for decisions, triage.html. PHOTOS stays unchanged until --apply moves
    photos to the other label, from DIR to their labels, or to PHOTOS/.quarantine. --undo puts the photos back.
    """
    if undo or apply is not None:
        checked = _check_moving(photos, apply, undo, model=model, at_most=at_most)
        move_photos(checked, unlabelled, apply, json)
    output = _Output(out if out is not None else _default_folder(), cache, overwrite, json)
    if unlabelled is not None:
        _check_unlabelled(photos, model, {**chosen, "folds": folds, "repeats": repeats})
        _propose(photos, unlabelled, _settings(chosen, model), at_most, output)
    usual = 1 if chosen.get("unfreeze") else _REPEATS
    counts = folds, usual if repeats is None else repeats
    _find_issues(_check_labelled(photos, at_most), _settings(chosen, model), counts, output)


@dataclass(frozen=True)
class _Output:
    """Folder to write; whether features are cached, an earlier triage is replaced, and JSON is printed."""

    folder: Path
    cache: bool
    overwrite: bool
    json: bool


def _check_moving(photos: Path | None, apply: Path | None, undo: bool, **useless: object) -> Path:
    """Refuse wrong combinations of options where photos are to be moved. Return the folder that they move in."""
    if undo and apply is not None:
        raise OptionError("--apply carries decisions out, --undo takes them back: expected one or the other")
    for name, value in useless.items():
        if value is not None:
            option = name.replace("_", "-")
            raise OptionError(f"--apply and --undo only move photos: expected no --{option}, leave it out")
    if photos is None:
        raise OptionError("expected PHOTOS, the folder with the labels, found none: roadclear triage PHOTOS ...")
    if photos.is_file():
        raise DatasetError(
            f"expected a folder of photos for --apply and --undo, found the file {str(photos)!r}: unpack an archive "
            "and name its folder, or change the labels in the table"
        )
    if address_of(photos) is not None:
        raise DatasetError(
            f"expected a folder of photos for --apply and --undo, found {name_of(photos)!r}: photos in a store are "
            "never moved, change their labels there"
        )
    return photos


def _check_labelled(photos: Path | None, at_most: int | None) -> Path:
    """Refuse wrong combinations of options for the triage of labelled photos. Return their folder."""
    if photos is None:
        raise OptionError(
            "expected a folder of photos, found none: roadclear triage PHOTOS, or roadclear triage --model RUN "
            "--unlabelled DIR"
        )
    if at_most is not None:
        raise OptionError("--at-most limits the list of unlabelled photos: expected --unlabelled DIR, found none")
    return photos


def _check_unlabelled(photos: Path | None, model: Path | None, options: dict[str, Any]) -> None:
    """Refuse wrong combinations of options for the triage of unlabelled photos."""
    if photos is None and model is None:
        raise OptionError(
            "expected something to predict unlabelled photos with, found none: name PHOTOS with labelled photos, or "
            "--model RUN"
        )
    usual = {"head": "linear", "folds": _FOLDS}
    for name, value in options.items():
        if name not in ("positive", "seed", "engine", "label_column", "image_column") and value != usual.get(name):
            raise OptionError(f"--{name.replace('_', '-')} has no effect with --unlabelled: leave it out")


def _settings(chosen: dict[str, Any], model: Path | None) -> "TrainSettings":
    from roadclear.model.predictor import load
    from roadclear.training.config import TrainSettings

    if model is None:
        return TrainSettings.from_mapping(chosen)
    load(model)  # refused here, where the message names a run
    return TrainSettings.from_mapping({**chosen, "weights": str(model)})


def _default_folder() -> Path:
    from datetime import datetime

    return Path("triage") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _find_issues(photos: Path, settings: "TrainSettings", counts: tuple[int, int], output: _Output) -> NoReturn:
    """List the labelled photos that need a review. `counts` are the numbers of folds and of repeats."""
    from roadclear.curation.triage import check_out, write_triage
    from roadclear.curation.triage import triage as triage_photos
    from roadclear.data.sources import load_photos
    from roadclear.features.cache import open_cache

    check_out(output.folder, photos, output.overwrite)
    dataset = load_photos(photos, columns=settings)
    with open_cache(default_cache_path() if output.cache else None) as features, progress_bars() as progress:
        found = triage_photos(dataset, settings, features, *counts, progress)
    write_triage(output.folder, photos, found, output.overwrite)
    if output.json:
        print_issues_as_json(found)
    else:
        print_issues(found, photos, output.folder)
    print_unreadable(found.skipped)
    exit_with(found.skipped)


def _propose(
    photos: Path | None, unlabelled: Path, settings: "TrainSettings", at_most: int | None, output: _Output
) -> NoReturn:
    """List the unlabelled photos to decide on."""
    from roadclear.curation.triage import check_out, write_proposals
    from roadclear.curation.unlabelled import propose
    from roadclear.features.cache import open_cache

    for folder in (unlabelled, photos):
        if folder is not None:
            check_out(output.folder, folder, output.overwrite)
    with open_cache(default_cache_path() if output.cache else None) as features, progress_bars() as progress:
        found = propose(photos, unlabelled, settings, features, at_most, progress)
    write_proposals(output.folder, photos, found, output.overwrite)
    if output.json:
        print_proposals_as_json(found)
    else:
        print_proposals(found, photos, output.folder)
    print_unreadable(found.skipped)
    exit_with(found.skipped)
