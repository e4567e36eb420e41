"""`roadclear clean`: unsuitable files of a labelled folder are listed, set aside, or put back."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roadclear.cli.console import (
    FAILED,
    SOME_UNREADABLE,
    console,
    exit_with,
    print_not_moved,
    print_unreadable,
    progress_bars,
    table,
)
from roadclear.cli.options import CacheOption, JsonOption, SourceArgument, takes
from roadclear.data.settings import SourceSettings
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.storage import name_of
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.curation.clean import Cleaning
    from roadclear.curation.rules import CleanRules

_EXAMPLES = 3


@takes(SourceSettings)
def clean(
    chosen: dict[str, Any],
    photos: SourceArgument,
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
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="List unsuitable files in a new CSV table without moving files.",
            rich_help_panel="Output",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an existing page or table.", rich_help_panel="Output"),
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

    Archives, tables, shards and photos in a store are listed by --dry-run, --out and --html, and never moved.
    """
    outputs = _Outputs(html, out, overwrite, json)
    dry = dry_run or bool(outputs.paths)
    if restore and dry:
        raise OptionError("--restore moves photos, --dry-run, --html and --out do not: expected one or the other")
    if restore:
        _restore(photos, json)

    from roadclear.curation.clean import clean as clean_folder
    from roadclear.curation.clean import examine
    from roadclear.curation.rules import CleanRules, parse_formats
    from roadclear.features.cache import open_cache
    from roadclear.utils.paths import default_cache_path

    outputs.check(photos, dry)
    rules = CleanRules(min_side=min_side, look_alikes=look_alikes)
    if formats is not None:
        rules = CleanRules(parse_formats(formats), min_side, look_alikes)
    with open_cache(default_cache_path() if cache else None) as seen, progress_bars() as progress:
        if dry:
            cleaning = examine(photos, rules, seen, progress, SourceSettings(**chosen))
        else:
            cleaning = clean_folder(photos, rules, seen, progress)
    outputs.write(photos, cleaning, rules, dry)
    if cleaning.left:
        sys.exit(SOME_UNREADABLE if cleaning.unreadable_left else FAILED)
    exit_with(cleaning.skipped)


@dataclass(frozen=True)
class _Outputs:
    """Page and table to write, whether they replace others, and whether JSON is printed."""

    page: Path | None
    table: Path | None
    overwrite: bool
    json: bool

    @property
    def paths(self) -> list[Path]:
        """Files to write."""
        return [path for path in (self.page, self.table) if path is not None]

    def check(self, photos: Path, dry: bool) -> None:
        """Refuse, before any work is done, to move what is no file, and to write where something is."""
        from roadclear.data.shards.opening import is_sharded
        from roadclear.utils.files import check_free_file

        if not dry and (photos.is_file() or is_sharded(photos)):
            raise DatasetError(
                f"expected a folder of photo files, found another source at {name_of(photos)!r}, whose photos are "
                "never moved: add --dry-run, --html FILE or --out FILE"
            )
        for path in self.paths:
            check_free_file(path, self.overwrite)

    def write(self, photos: Path, cleaning: "Cleaning", rules: "CleanRules", dry: bool) -> None:
        """Write the page and the table, and print what was found and what was not moved."""
        from roadclear.curation.clean import findings_table
        from roadclear.curation.clean_page import write_review
        from roadclear.utils.files import write_file

        if self.page is not None:
            write_review(self.page, photos, cleaning.findings, cleaning.photos, self.overwrite, rules)
        if self.table is not None:
            write_file(self.table, findings_table(cleaning.findings), overwrite=self.overwrite)
        if self.json:
            _print_json(cleaning, dry)
        else:
            _print_table(cleaning, photos, dry)
            for name, path in (("Pictures", self.page), ("Table", self.table)):
                if path is not None:
                    console().print(f"{name}: {printable(path)}", markup=False)
        print_not_moved(cleaning.left)
        print_unreadable(cleaning.skipped)


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
    skipped = [{"file": str(photo.file), "reason": photo.reason} for photo in cleaning.skipped]
    print(to_json({"photos": cleaning.photos, "findings": findings, **({"skipped": skipped} if skipped else {})}))


def _print_table(cleaning: "Cleaning", photos: Path, dry: bool) -> None:
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
    if any(finding.reason in (CleanReason.CONFLICTING_LABEL, CleanReason.LOOK_ALIKE) for finding in cleaning.findings):
        out.print("If look-alikes are frames of one camera, name their scene in manifest.csv, or use --no-look-alikes.")
