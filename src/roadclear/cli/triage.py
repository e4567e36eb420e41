"""`roadclear triage`: photos that a person should look at, and what that person decides, carried out."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roadclear.cli.console import FAILED, console, exit_with, progress_bars, shown, table, tell_unreadable
from roadclear.cli.moves_left import tell_left
from roadclear.cli.options import (
    EngineOption,
    GroupByAuthorOption,
    GroupByOption,
    GroupByPageOption,
    JsonOption,
)
from roadclear.errors import OptionError
from roadclear.training.config import TrainingOptions

if TYPE_CHECKING:
    from roadclear.curation.triage import Triage

_ROWS_SHOWN = 20


def triage(
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder to make. [default: triage/<time>]")] = None,
    apply: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Carry out decisions.csv, or a filled-in triage.csv.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Put back what --apply moved since the last cleaning.")] = False,
    positive: Annotated[str | None, typer.Option(help="Label whose probability is shown.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    folds: Annotated[int, typer.Option(help="Parts that are judged in turn.")] = 5,
    repeats: Annotated[int, typer.Option(help="How often, parted otherwise each time.")] = 3,
    head: Annotated[str, typer.Option(metavar="linear|dense", help="Head that judges.")] = "linear",
    group_by: GroupByOption = None,
    group_by_page: GroupByPageOption = False,
    group_by_author: GroupByAuthorOption = False,
    engine: EngineOption = "openvino",
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep features for later runs.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Find labels that are probably wrong, look-alikes that disagree, and photos the model is unsure of.

    It writes a table, triage.csv, and a page of pictures to decide on, triage.html. PHOTOS stays as it is until
    --apply moves photos to the other label, or to PHOTOS/.quarantine; --undo puts them back.
    """
    if undo and apply is not None:
        raise OptionError("--apply carries decisions out, --undo takes them back: expected one or the other")
    if undo:
        _undo(photos, json)
    if apply is not None:
        _apply(photos, apply, json)
    options = TrainingOptions(
        positive=positive,
        seed=seed,
        head=head,
        group_by=group_by,
        group_by_page=group_by_page,
        group_by_author=group_by_author,
        engine=engine,
    )
    folder = out if out is not None else _default_folder()

    from roadclear.curation.triage import check_out, write_triage
    from roadclear.curation.triage import triage as triage_photos
    from roadclear.data.dataset import load_folder
    from roadclear.features.cache import default_cache_path, open_cache

    check_out(folder, photos, overwrite)
    dataset = load_folder(photos)
    with open_cache(default_cache_path() if cache else None) as features, progress_bars() as report:
        found = triage_photos(dataset, options, features, folds, repeats, report)
    write_triage(folder, photos, found, overwrite)
    if json:
        _print_json(found)
    else:
        _print_table(found, photos, folder)
    tell_unreadable(found.skipped)
    exit_with(found.skipped)


def _default_folder() -> Path:
    from datetime import datetime

    return Path("triage") / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")


def _apply(photos: Path, decisions: Path, json: bool) -> NoReturn:
    from roadclear.curation.apply import apply_decisions
    from roadclear.training.run_folder import to_json

    applied = apply_decisions(photos, decisions)
    if json:
        left = [{"file": left.file, "why": left.why} for left in applied.left]
        counts = {"relabelled": applied.relabelled, "set_aside": applied.set_aside, "earlier": applied.earlier}
        print(to_json({**counts, "left": left}))
    else:
        done = f"{applied.relabelled:,} photos have the other label now, {applied.set_aside:,} are set aside."
        if applied.earlier:
            done += f" {applied.earlier:,} had been moved already."
        console().print(f"{done}   Undo it: roadclear triage {shlex.quote(shown(photos))} --undo")
    tell_left(applied.left)
    sys.exit(FAILED if applied.left else 0)


def _undo(photos: Path, json: bool) -> NoReturn:
    from roadclear.curation.apply import undo
    from roadclear.training.run_folder import to_json

    result = undo(photos)
    if json:
        left = [{"file": left.file, "why": left.why} for left in result.left]
        print(to_json({"restored": result.restored, "left": left}))
    else:
        told = f"{result.restored:,} photos are back where they were."
        if not result.restored and not result.left:
            again = shlex.quote(shown(photos))
            told = f"No photo was moved since the last cleaning.   Undo that, too: roadclear clean {again} --restore"
        console().print(told)
    tell_left(result.left)
    sys.exit(FAILED if result.left else 0)


def _print_json(found: "Triage") -> None:
    from roadclear.training.run_folder import to_json

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
    wrong = dict(zip(found.labels, found.suspicion.wrong_share, strict=True))
    skipped = [{"file": str(photo.file), "reason": photo.reason} for photo in found.skipped]
    values = {"photos": found.photos, "positive": found.labels[1], "wrong_share": wrong, "entries": entries}
    print(to_json(values | {"skipped": skipped}))


def _print_table(found: "Triage", photos: Path, folder: Path) -> None:
    from rich.text import Text

    from roadclear.curation.cases import Reason

    out = console()
    entries = [entry for case in found.cases for entry in case.entries]
    rows = table("rank", "file", "suggested", f"P({found.labels[1]})", "why", numbers=["rank"])
    for entry in entries[:_ROWS_SHOWN]:
        name, suggested = shown(entry.photo.file), entry.suggested or ""
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
        out.print(f"and {len(entries) - _ROWS_SHOWN:,} more, see {shown(folder / 'triage.csv')}")
    counts = {reason: sum(case.reason == reason for case in found.cases) for reason in Reason}
    out.print(
        f"{found.photos:,} photos. Probably wrong labels: {int(found.suspicion.suggested.sum()):,}. Look-alikes that "
        f"disagree beside these: {counts[Reason.LOOK_ALIKES_DISAGREE]:,}. Most unsure: {counts[Reason.UNSURE]:,}."
    )
    shares = zip(found.labels, found.suspicion.wrong_share, strict=True)
    out.print("Estimated share of wrong labels: " + ", ".join(f"{label} {share:.1%}" for label, share in shares))
    out.print(f"Look at them and decide: {shown(folder / 'triage.html')}")
    quoted = shlex.quote(shown(photos))
    out.print(f"Then carry it out: roadclear triage {quoted} --apply decisions.csv")
