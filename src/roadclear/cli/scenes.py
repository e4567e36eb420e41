"""`roadclear scenes`: drawn street scenes in two label folders, to try every command without photos."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.console import console, progress_bars
from roadclear.errors import OptionError, OutputError
from roadclear.utils.text import printable


def scenes(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder for crossing/ and empty/.", show_default=False)
    ],
    count: Annotated[int, typer.Option(help="Number of scenes of both labels together.")] = 300,
    seed: Annotated[int, typer.Option(help="Random seed of the scenes.")] = 0,
    share_crossing: Annotated[float, typer.Option(help="Share of scenes with people on the road.")] = 0.5,
) -> None:
    """Draw street scenes with people on the road (crossing) and without people on the road (empty).

    The scenes are for a first try and for tests. OUT/boxes.csv has the bounding boxes of the people.
    """
    from roadclear.utils.threads import available_cores
    from roadscenes import CROSSING, EMPTY, write_scenes

    try:
        with progress_bars() as progress:
            files = write_scenes(out, count, seed, share_crossing, progress, processes=available_cores())
    except ValueError as error:
        raise OptionError(str(error)) from error
    except FileExistsError as error:
        raise OutputError(str(error)) from error
    except OSError as error:
        raise OutputError(f"cannot write {str(out)!r}: {error.strerror}; choose another folder") from error
    crossing = sum(file.parent.name == CROSSING for file in files)
    console().print(f"{crossing:,} {CROSSING} and {len(files) - crossing:,} {EMPTY} scenes: {printable(out)}")
    console().print(f"Train on the scenes: roadclear train {shlex.quote(printable(out))}")
