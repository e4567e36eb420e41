"""`roadclear clean`: unsuitable files of a labelled folder are listed, set aside, or put back."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from roadclear.cli.console import FAILED, SOME_UNREADABLE, console, print_not_moved, progress_bars, table
from roadclear.cli.options import CacheOption, JsonOption, PhotosArgument
from roadclear.errors import OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.clean import Cleaning

_EXAMPLES = 3


def clean(
    photos: PhotosArgument,
    formats: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Accepted file formats, such as jpeg,png. (default: all that can be read)",
            rich_help_panel="Data",
        ),
    ] = None,
    min_side: Annotated[
        int, typer.Option(help="Minimum length of the shorter side, in pixels.", rich_help_panel="Data")
    ] = 64,
    look_alikes: Annotated[
        bool,
        typer.Option(
            "--look-alikes/--no-look-alikes", help="Treat photos that look alike as copies.", rich_help_panel="Data"
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List unsuitable files without moving files.", rich_help_panel="Output")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Show unsuitable files on a new HTML page without moving files.",
            rich_help_panel="Output",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing page of --html.", rich_help_panel="Output")
    ] = False,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Put all files that were set aside back to their old places.", rich_help_panel="Output"
        ),
    ] = False,
    cache: CacheOption = True,
    json: JsonOption = False,
) -> None:
    """Set aside files that spoil training: unreadable files, copies, blank pictures, copies under both labels.

    The files move to PHOTOS/.quarantine and are listed in PHOTOS/cleaning.csv. --restore puts all files back.
    """
    if restore and (dry_run or html is not None):
        raise OptionError("--restore moves photos, --dry-run and --html do not: expected one or the other")
    if restore:
        _restore(photos, json)
    if html is not None:
        from roadclear.utils.files import check_free_file

        check_free_file(html, overwrite)

    from roadclear.curation.clean import clean as clean_folder
    from roadclear.curation.clean import examine
    from roadclear.curation.clean_page import write_review
    from roadclear.curation.rules import CleanRules, parse_formats
    from roadclear.features.cache import open_cache
    from roadclear.utils.paths import default_cache_path

    rules = CleanRules(min_side=min_side, look_alikes=look_alikes)
    if formats is not None:
        rules = CleanRules(parse_formats(formats), min_side, look_alikes)
    dry = dry_run or html is not None
    with open_cache(default_cache_path() if cache else None) as seen, progress_bars() as progress:
        cleaning = (examine if dry else clean_folder)(photos, rules, seen, progress)
    if html is not None:
        write_review(html, photos, cleaning.findings, cleaning.photos, overwrite, rules)
    if json:
        _print_json(cleaning, dry)
    else:
        _print_table(cleaning, photos, html, dry)
    print_not_moved(cleaning.left)
    if cleaning.left:
        sys.exit(SOME_UNREADABLE if cleaning.unreadable_left else FAILED)


def _restore(photos: Path, json: bool) -> NoReturn:
    from roadclear.curation.clean import restore
    from roadclear.utils.tables import to_json

    result = restore(photos)
    if json:
        left = [{"file": left.file, "why": left.why} for left in result.left]
        print(to_json({"restored": result.restored, "left": left}))
    else:
        console().print(f"{result.restored:,} {'file was' if result.restored == 1 else 'files were'} put back.")
    print_not_moved(result.left)
    sys.exit(FAILED if result.left else 0)


def _print_json(cleaning: "Cleaning", dry: bool) -> None:
    from roadclear.utils.tables import to_json

    left = {left.file: left.why for left in cleaning.left}
    findings = [
        {
            "file": finding.photo.file,
            "label": finding.photo.label,
            "reason": finding.reason,
            "detail": finding.detail,
            "kept": finding.kept,
            "moved": not dry and finding.photo.file not in left,
        }
        for finding in cleaning.findings
    ]
    print(to_json({"photos": cleaning.photos, "findings": findings}))


def _print_table(cleaning: "Cleaning", photos: Path, html: Path | None, dry: bool) -> None:
    from rich.text import Text

    from roadclear.curation.rules import CleanReason

    out = console()
    rows = table("reason", "files", "for example", numbers=["files"])
    for reason in CleanReason:
        chosen = [finding for finding in cleaning.findings if finding.reason == reason]
        if chosen:
            examples = "\n".join(f"{printable(f.photo.file)}: {printable(f.detail)}" for f in chosen[:_EXAMPLES])
            rows.add_row(reason, f"{len(chosen):,}", Text(examples))
    if rows.row_count:
        out.print(rows)
    found = f"{len(cleaning.findings):,} of {cleaning.photos:,} files are unsuitable"
    if dry:
        out.print(f"{found}. Nothing was moved.")
    elif cleaning.findings:
        quarantine, again = printable(photos / ".quarantine"), shlex.quote(printable(photos))
        out.print(f"{found} and were moved to {quarantine}.   Undo: roadclear clean {again} --restore", markup=False)
    else:
        out.print(f"{found}.")
    if html is not None:
        out.print(f"Pictures: {printable(html)}", markup=False)
    if any(finding.reason in (CleanReason.CONFLICTING_LABEL, CleanReason.LOOK_ALIKE) for finding in cleaning.findings):
        out.print("If look-alikes are frames of one camera, name their scene in manifest.csv, or use --no-look-alikes.")
