"""`roadclear show`: a picture of sample photos with their predictions."""

from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.console import exit_with, print_unreadable
from roadclear.cli.options import EngineOption, RunArgument
from roadclear.errors import OptionError, OutputError
from roadclear.utils.text import printable

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def show(
    run: RunArgument,
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            help="A labelled folder, folders or photos; without them the run's test photos.", show_default=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Picture to make, .png or .jpg.")] = Path("grid.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="Photos to show.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of photos.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture.")] = False,
    engine: EngineOption = "openvino",
) -> None:
    """Draw sample photos with their predictions side by side, the wrong ones framed."""
    _check_out(out, overwrite)
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.drawing.grid import prediction_grid
    from roadclear.model.predictor import load, read_cells
    from roadclear.report.samples import choose, find_samples, run_test_photos
    from roadclear.utils.files import write_file

    model = load(run, engine)
    labels = (model.facts.positive, model.facts.negative)
    samples = choose(find_samples(photos, labels) if photos else run_test_photos(run), count, seed)
    cells = read_cells(model, [sample.path for sample in samples], [sample.label for sample in samples])
    data = BytesIO()
    prediction_grid(cells, model.facts).save(data, _FORMATS[out.suffix.lower()])
    write_file(out, data.getvalue())
    unreadable = [cell.result for cell in cells if isinstance(cell.result, UnreadablePhoto)]
    print_unreadable(unreadable)
    print(printable(out))
    exit_with(unreadable)


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix.lower() not in _FORMATS:
        raise OptionError(f"--out must end in {', '.join(_FORMATS)}, got {str(out)!r}")
    if out.is_dir() or (out.exists() and not overwrite):
        raise OutputError(f"{str(out)!r} is already there: choose another name with --out, or add --overwrite")
