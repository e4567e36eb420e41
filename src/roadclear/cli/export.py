"""`roadclear export`: a run -> files for another runtime, checked against the model before they are written."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import FAILED, console, exit_with, print_unreadable, progress_bars, table
from roadclear.cli.options import OverwriteOption, out_option, takes
from roadclear.deploy.export.settings import FORMATS, ExportSettings
from roadclear.errors import OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.deploy.export.check import Check, CheckPhotos, Row
    from roadclear.model.predictor import Model
    from roadclear.training.run_folder import Run

_STOCK = "stock"
_CALIBRATES = 4
"""One photo of so many calibrates where the run's training photos are not there."""


@takes(ExportSettings)
def export(
    chosen: dict[str, Any],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help=f"Format to export to: {', '.join(FORMATS)}.", rich_help_panel="Output"
        ),
    ],
    run: Annotated[
        Path,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder, a model.onnx or 'stock'. (default: the stock model)",
            show_default=False,
        ),
    ] = Path(_STOCK),
    out: Annotated[Path | None, out_option("the files and export.json. (default: export-FORMAT)")] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTOS",
            help="Labelled photos to check the export on: a folder, a ZIP archive or a CSV table. (default: the run's "
            "validation and test photos)",
            show_default=False,
            rich_help_panel="Data",
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with the npm package onnxruntime-web, for web. (default: fetched by npm)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Export a model to another format, and prove that the export answers like the model.

    Both are asked about photos that set no weight, and a table shows the differences. An export that is worse is not
    written.
    """
    from roadclear.deploy.export.export import ExportJob
    from roadclear.deploy.export.export import export as export_model
    from roadclear.training.run_folder import open_model

    if to not in FORMATS:
        raise OptionError(f"--to must be one of {', '.join(FORMATS)}, got {to!r}")
    settings = ExportSettings(**chosen)
    model, opened = open_model(run, "openvino")
    on, calibration = photos_to_check(model, opened, check, to)
    job = ExportJob(
        to=to,
        out=out if out is not None else Path(f"export-{to}"),
        on=on,
        calibration=calibration,
        settings=settings,
        runtime=runtime,
        overwrite=overwrite,
    )
    with progress_bars() as progress:
        result = export_model(model, job, progress)
    _print_check(result.check)
    if result.refused is not None:
        print(f"roadclear: refused: {printable(result.refused)}. Nothing was written.", file=sys.stderr)
        sys.exit(FAILED)
    print(f"Exported: {printable(str(job.out))}", file=sys.stderr)
    exit_with(result.check.skipped)


def photos_to_check(model: "Model", run: "Run | None", check: Path | None, to: str) -> "tuple[CheckPhotos, list[Path]]":
    """Find the photos to check an export on, and the photos to calibrate on.

    Args:
        model: model to export.
        run: run of the model; None for a model by itself.
        check: labelled photos that the user named; None for the run's validation and test photos.
        to: format to export to.

    Raises:
        OptionError: there is neither a run nor a named source.
        DatasetError: the photos cannot be listed.
    """
    from roadclear.data.groups import scene_groups
    from roadclear.data.sources import load_photos
    from roadclear.data.split import TEST, TRAIN, VALIDATION
    from roadclear.deploy.export.check import CheckPhotos

    if check is None:
        if run is None:
            raise OptionError("expected photos to check the export on, found none: name them by --check PHOTOS")
        numbers = {row.file: row.group for row in run.splits}
        photos = run.photos_of(VALIDATION, TEST)
        groups = [numbers[photo.file] for photo in photos]
        calibration = [photo.path for photo in run.photos_of(TRAIN)] if to == "openvino-int8" else []
        return CheckPhotos(photos, groups, "validation and test photos of the run"), _spread(calibration)
    photos = list(load_photos(check, (model.facts.positive, model.facts.negative)).photos)
    calibration = []
    if to == "openvino-int8" and run is not None and run.has_photos:
        calibration = _spread([photo.path for photo in run.photos_of(TRAIN)])
    elif to == "openvino-int8":
        calibration = [photo.path for photo in photos[::_CALIBRATES]]
        photos = [photo for k, photo in enumerate(photos) if k % _CALIBRATES]
    found = scene_groups(photos)
    return CheckPhotos(photos, None if found is None else found.tolist(), printable(str(check))), calibration


def _spread(paths: list[Path]) -> list[Path]:
    """Order photos so that the first ones are spread over the list, and over both labels."""
    from random import Random

    return Random(0).sample(paths, len(paths))  # noqa: S311, no secret


def _print_check(check: "Check") -> None:
    rows = table(
        "", check.original.format, check.exported.format, numbers=(check.original.format, check.exported.format)
    )
    for values in zip(_MEASURES, _values(check.original), _values(check.exported), strict=True):
        rows.add_row(*values)
    out = console()
    out.print(rows)
    drop, low, high = check.drop
    out.print(
        f"{check.comparison.n:,} photos ({check.source}). Drop of the accuracy: {drop:.1f} points (95% interval "
        f"{low:.1f} to {high:.1f}). Photos that become or stop being unsure or unfamiliar: {check.changed:,}."
    )
    print_unreadable(check.skipped)


_MEASURES = (
    "accuracy",
    "its 95% interval",
    "labels that flip",
    "mean change of the logit",
    "largest change of the logit",
    "largest error of the map's sum",
    "milliseconds a photo",
    "megabytes",
)


def _values(row: "Row") -> tuple[str, ...]:
    from roadclear.report.words import interval, percent

    return (
        percent(row.accuracy.value),
        interval(row.accuracy),
        f"{row.flips:,}",
        f"{row.mean_change:.2g}",
        f"{row.largest_change:.2g}",
        f"{row.residual:.1g}",
        f"{row.milliseconds:.1f}",
        f"{row.megabytes:.1f}",
    )
