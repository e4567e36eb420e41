"""`roadclear show`: photos with their predictions -> one picture."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.console import exit_with, print_unreadable
from roadclear.cli.options import EngineOption, RunArgument
from roadclear.cli.remarks import check_order
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.files import check_free_file
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.model.predictor import Model
    from roadclear.report.samples import Sample
    from roadclear.training.run_folder import Run

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def show(
    run: RunArgument,
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Photos, folders, or quoted patterns such as 'more/*.png'. (default: the test photos of the run)",
            show_default=False,
        ),
    ] = None,
    engine: EngineOption = "openvino",
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="New picture, .png or .jpg.", rich_help_panel="Output")
    ] = Path("grid.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="Number of photos to show.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the choice of photos.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing picture.", rich_help_panel="Output")
    ] = False,
) -> None:
    """Draw photos with their predictions side by side, and frame the wrong predictions.

    True labels are known for the test photos of a run, and for photos in a folder with one subfolder per label.
    """
    for word in photos or []:
        check_order("show", [run], word)
    _check_out(out, overwrite)
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.drawing.grid import prediction_grid
    from roadclear.model.predictor import read_cells
    from roadclear.report.samples import choose
    from roadclear.training.run_folder import open_model
    from roadclear.utils.files import write_file

    model, opened = open_model(run, engine)
    samples = choose(_find(photos, model, opened), count, seed)
    cells = read_cells(model, [sample.path for sample in samples], [sample.label for sample in samples])
    data = BytesIO()
    prediction_grid(cells, model.facts).save(data, _FORMATS[out.suffix.lower()])
    write_file(out, data.getvalue(), overwrite=overwrite)
    unreadable = [cell.result for cell in cells if isinstance(cell.result, UnreadablePhoto)]
    print_unreadable(unreadable)
    print(printable(out))
    exit_with(unreadable)


def _find(photos: list[str] | None, model: "Model", run: "Run | None") -> "Sequence[Sample]":
    """The photos that the user named, else those that the run was tested on."""
    from roadclear.report.samples import find_samples

    if photos:
        return find_samples(photos, (model.facts.positive, model.facts.negative))
    if run is None:
        raise DatasetError("expected photos, found none, and the stock model has no test photos: name a folder")
    return run.test_photos()


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix.lower() not in _FORMATS:
        raise OptionError(f"--out must end in {', '.join(_FORMATS)}, got {str(out)!r}")
    check_free_file(out, overwrite)
