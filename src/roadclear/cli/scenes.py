"""`roadclear scenes`: drawn street scenes in two labelled folders, to try everything without a photo."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.console import console, progress_bars, shown


def scenes(
    out: Annotated[Path, typer.Argument(help="Folder to make, with crossing/ and empty/.", show_default=False)],
    count: Annotated[int, typer.Option(help="Scenes to draw, of both labels together.")] = 300,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    share_crossing: Annotated[float, typer.Option(help="Share of scenes with people on the road.")] = 0.5,
) -> None:
    """Draw street scenes: people on the road (crossing), or something else there (empty).

    They are drawn, not photographed: good for a first try and for tests. boxes.csv tells where the people are.
    """
    from roadscenes import CROSSING, EMPTY, write_scenes

    with progress_bars() as report:
        files = write_scenes(out, count, seed, share_crossing, report)
    crossing = sum(file.parent.name == CROSSING for file in files)
    console().print(f"{crossing:,} {CROSSING} and {len(files) - crossing:,} {EMPTY} scenes: {shown(out)}")
    console().print(f"Train on them: roadclear train {shlex.quote(shown(out))}")
