"""`roadclear clean`: what does not belong in a labelled folder is set aside, shown, or put back."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from roadclear.cli.console import FAILED, SOME_UNREADABLE, console, progress_bars, table
from roadclear.cli.moves_left import print_not_moved
from roadclear.cli.options import JsonOption
from roadclear.errors import OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.clean import Cleaning

_EXAMPLES = 3


def clean(
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what does not belong; move nothing.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show it on a page of pictures; move nothing.")
    ] = None,
    restore: Annotated[bool, typer.Option("--restore", help="Put everything back where it was.")] = False,
    formats: Annotated[
        str | None, typer.Option(metavar="LIST", help="Formats that may stay, as jpeg,png. (default: all)")
    ] = None,
    min_side: Annotated[int, typer.Option(help="Pixels that the shorter side has at least.")] = 64,
    look_alikes: Annotated[
        bool, typer.Option("--look-alikes/--no-look-alikes", help="Treat photos that look alike as copies.")
    ] = True,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep what was seen for later runs.")] = True,
    json: JsonOption = False,
) -> None:
    """Set aside what does not belong among training photos: broken files, copies, blank pictures.

    It is moved to PHOTOS/.quarantine and listed in PHOTOS/cleaning.csv; --restore puts everything back.
    """
    if restore and (dry_run or html is not None):
        raise OptionError("--restore moves photos, --dry-run and --html do not: expected one or the other")
    if restore:
        _restore(photos, json)

    from roadclear.curation.clean import clean as clean_folder
    from roadclear.curation.clean import examine
    from roadclear.curation.clean_page import write_review
    from roadclear.curation.rules import CleanRules, parse_formats
    from roadclear.features.cache import open_cache
    from roadclear.utils.paths import default_cache_path

    rules = CleanRules(min_side=min_side, look_alikes=look_alikes)
    if formats is not None:
        rules = CleanRules(parse_formats(formats), min_side, look_alikes)
    only_looked = dry_run or html is not None
    with open_cache(default_cache_path() if cache else None) as seen, progress_bars() as progress:
        cleaning = (examine if only_looked else clean_folder)(photos, rules, seen, progress)
    if html is not None:
        write_review(html, photos, cleaning.findings, cleaning.photos)
    if json:
        _print_json(cleaning, only_looked)
    else:
        _print_table(cleaning, photos, html, only_looked)
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
        console().print(f"{result.restored:,} files are back where they were.")
    print_not_moved(result.left)
    sys.exit(FAILED if result.left else 0)


def _print_json(cleaning: "Cleaning", only_looked: bool) -> None:
    from roadclear.utils.tables import to_json

    left = {left.file: left.why for left in cleaning.left}
    findings = [
        {
            "file": finding.photo.file,
            "label": finding.photo.label,
            "reason": finding.reason,
            "detail": finding.detail,
            "kept": finding.kept,
            "moved": not only_looked and finding.photo.file not in left,
        }
        for finding in cleaning.findings
    ]
    print(to_json({"photos": cleaning.photos, "findings": findings}))


def _print_table(cleaning: "Cleaning", photos: Path, html: Path | None, only_looked: bool) -> None:
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
    found = f"{len(cleaning.findings):,} of {cleaning.photos:,} files do not belong"
    if only_looked:
        out.print(f"{found}. Nothing was moved.")
    elif cleaning.findings:
        quarantine, again = printable(photos / ".quarantine"), shlex.quote(printable(photos))
        out.print(f"{found}, and are in {quarantine} now.   Undo it: roadclear clean {again} --restore", markup=False)
    else:
        out.print(f"{found}.")
    if html is not None:
        out.print(f"Pictures: {printable(html)}", markup=False)
    if any(finding.reason in (CleanReason.CONFLICTING_LABEL, CleanReason.LOOK_ALIKE) for finding in cleaning.findings):
        out.print(
            "Are look-alikes frames of one camera? Then give them one scene in manifest.csv, or use --no-look-alikes."
        )
