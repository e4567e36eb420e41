"""`roadclear triage`: list photos that a person should review, and carry out the decisions of the person."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roadclear.cli.console import (
    FAILED,
    console,
    exit_with,
    print_not_moved,
    print_unreadable,
    progress_bars,
    table,
)
from roadclear.cli.options import (
    CacheOption,
    FoldsOption,
    JsonOption,
    OverwriteOption,
    RepeatsOption,
    SourceArgument,
    takes,
)
from roadclear.data.settings import GroupSettings, LabelSettings
from roadclear.errors import DatasetError, OptionError
from roadclear.features.settings import EngineSettings
from roadclear.model.settings import HeadSettings
from roadclear.utils.paths import default_cache_path
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.triage import Triage

_ROWS_SHOWN = 20


@takes(
    LabelSettings,
    HeadSettings,
    GroupSettings,
    EngineSettings,
    without=("precision", "learning_rate", "batch_size", "epochs", "patience"),
    head="linear",
)
def triage(
    chosen: dict[str, Any],
    photos: SourceArgument,
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
            "--undo", help="Put back all photos that --apply moved since the last cleaning.", rich_help_panel="Output"
        ),
    ] = False,
    folds: FoldsOption = 5,
    repeats: RepeatsOption = 3,
    cache: CacheOption = True,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Find labels that are probably wrong, near-duplicates with other labels, and photos that the model is unsure of.

    Triage writes a table, triage.csv, and a page for decisions, triage.html. PHOTOS stays unchanged until --apply moves
    photos to the other label or to PHOTOS/.quarantine. --undo puts the photos back.
    """
    if undo and apply is not None:
        raise OptionError("--apply carries decisions out, --undo takes them back: expected one or the other")
    if (undo or apply is not None) and photos.is_file():
        raise DatasetError(
            f"expected a folder of photos for --apply and --undo, found the file {str(photos)!r}: unpack an archive "
            "and name its folder, or change the labels in the table"
        )
    if undo:
        _undo(photos, json)
    if apply is not None:
        _apply(photos, apply, json)
    folder = out if out is not None else _default_folder()

    from roadclear.curation.triage import check_out, write_triage
    from roadclear.curation.triage import triage as triage_photos
    from roadclear.data.sources import load_photos
    from roadclear.features.cache import open_cache
    from roadclear.training.config import TrainSettings

    settings = TrainSettings.from_mapping(chosen)
    check_out(folder, photos, overwrite)
    dataset = load_photos(photos)
    with open_cache(default_cache_path() if cache else None) as features, progress_bars() as progress:
        found = triage_photos(dataset, settings, features, folds, repeats, progress)
    write_triage(folder, photos, found, overwrite)
    if json:
        _print_json(found)
    else:
        _print_table(found, photos, folder)
    print_unreadable(found.skipped)
    exit_with(found.skipped)


def _default_folder() -> Path:
    from datetime import datetime

    return Path("triage") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _apply(photos: Path, decisions: Path, json: bool) -> NoReturn:
    from roadclear.curation.apply import apply_decisions
    from roadclear.utils.tables import to_json

    applied = apply_decisions(photos, decisions)
    if json:
        left = [{"file": left.file, "why": left.why} for left in applied.left]
        counts = {"relabelled": applied.relabelled, "set_aside": applied.set_aside, "earlier": applied.earlier}
        print(to_json({**counts, "left": left}))
    else:
        done = f"Moved to the other label: {applied.relabelled:,}. Set aside: {applied.set_aside:,}."
        if applied.earlier:
            done += f" Moved earlier: {applied.earlier:,}."
        console().print(f"{done}   Undo: roadclear triage {shlex.quote(printable(photos))} --undo")
    print_not_moved(applied.left)
    sys.exit(FAILED if applied.left else 0)


def _undo(photos: Path, json: bool) -> NoReturn:
    from roadclear.curation.apply import undo
    from roadclear.utils.tables import to_json

    result = undo(photos)
    if json:
        left = [{"file": left.file, "why": left.why} for left in result.left]
        print(to_json({"restored": result.restored, "left": left}))
    else:
        message = f"{result.restored:,} {'photo was' if result.restored == 1 else 'photos were'} put back."
        if not result.restored and not result.left:
            again = shlex.quote(printable(photos))
            message = (
                f"No photo was moved since the last cleaning.   Undo the cleaning: roadclear clean {again} --restore"
            )
        console().print(message)
    print_not_moved(result.left)
    sys.exit(FAILED if result.left else 0)


def _print_json(found: "Triage") -> None:
    from roadclear.utils.tables import to_json

    entries: list[dict[str, Any]] = [
        {
            "rank": entry.rank,
            "reason": entry.reason,
            "file": entry.photo.file,
            "label": entry.photo.label,
            "suggested": entry.suggested,
            "probability": entry.probability,
            "sha256": entry.sha256,
            "why": entry.why,
        }
        for case in found.cases
        for entry in case.entries
    ]
    wrong = dict(zip(found.labels, found.label_issues.wrong_share, strict=True))
    skipped = [{"file": str(photo.file), "reason": photo.reason} for photo in found.skipped]
    values = {"photos": found.photos, "positive": found.labels[1], "wrong_share": wrong, "entries": entries}
    print(to_json(values | {"skipped": skipped}))


def _print_table(found: "Triage", photos: Path, folder: Path) -> None:
    from rich.text import Text

    from roadclear.curation.cases import TriageReason

    out = console()
    entries = [entry for case in found.cases for entry in case.entries]
    rows = table("rank", "file", "suggested", f"P({found.labels[1]})", "why", numbers=["rank"])
    for entry in entries[:_ROWS_SHOWN]:
        name, suggested = printable(entry.photo.file), entry.suggested or ""
        rows.add_row(
            str(entry.rank),
            Text(name),
            Text(suggested),
            f"{entry.probability:.3f}",
            entry.reason.replace("-", " "),
        )
    if rows.row_count:
        out.print(rows)
    if len(entries) > _ROWS_SHOWN:
        out.print(f"and {len(entries) - _ROWS_SHOWN:,} more, see {printable(folder / 'triage.csv')}")
    counts = {reason: sum(case.reason == reason for case in found.cases) for reason in TriageReason}
    out.print(
        f"{found.photos:,} photos. Label issues: {int(found.label_issues.suggested.sum()):,}. "
        f"Other groups of look-alikes with different labels: {counts[TriageReason.LOOK_ALIKES_DISAGREE]:,}. "
        f"Most unsure photos: {counts[TriageReason.UNSURE]:,}."
    )
    shares = zip(found.labels, found.label_issues.wrong_share, strict=True)
    out.print("Estimated share of wrong labels: " + ", ".join(f"{label} {share:.1%}" for label, share in shares))
    out.print(f"Review the photos and decide: {printable(folder / 'triage.html')}")
    if not photos.is_dir():
        out.print("Then change the labels in the table or archive. --apply moves the files of a folder alone.")
        return
    quoted = shlex.quote(printable(photos))
    out.print(f"Then carry out the decisions: roadclear triage {quoted} --apply decisions.csv")
