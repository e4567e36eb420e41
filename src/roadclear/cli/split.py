"""`roadclear split`: a labelled folder -> a table with the split and group of every photo."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_unreadable, progress_bars, table
from roadclear.cli.options import SourceArgument, takes
from roadclear.data.settings import GroupSettings, SourceSettings
from roadclear.features.settings import EngineSettings
from roadclear.utils.paths import default_cache_path
from roadclear.utils.settings import SeedSettings
from roadclear.utils.text import printable


@takes(SeedSettings, GroupSettings, EngineSettings, SourceSettings, without=("precision",))
def split(
    chosen: dict[str, Any],
    photos: SourceArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="New CSV file with the columns file, label, split and group.", rich_help_panel="Output"
        ),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing table.", rich_help_panel="Output")
    ] = False,
) -> None:
    """Split photos into train, validation and test, and keep near-duplicates and photos of one scene together.

    You may edit the table. Train with the table by: roadclear train PHOTOS --split FILE.
    """
    from roadclear.data.sources import load_photos
    from roadclear.features.cache import open_cache
    from roadclear.training.config import PrepareSettings
    from roadclear.training.prepare import prepare
    from roadclear.training.run_files import split_table
    from roadclear.utils.files import check_free_file, write_file

    check_free_file(out, overwrite)
    # A split needs no augmented views, and which label is positive changes no split.
    settings = PrepareSettings.from_mapping({**chosen, "views": 0})
    dataset = load_photos(photos, columns=settings)
    settings = replace(settings, positive=dataset.labels[1])
    with open_cache(default_cache_path()) as cache, progress_bars() as progress:
        data = prepare(dataset, settings, cache, progress)
    write_file(out, split_table(data), overwrite=overwrite)
    rows = table("split", *dataset.labels, "share", "requested", numbers=[*dataset.labels, "share", "requested"])
    labels = [photo.label for photo in data.photos]
    for name, requested in data.shares.items():
        in_split = [label for label, of in zip(labels, data.splits, strict=True) if of == name]
        counts = [f"{in_split.count(label):,}" for label in dataset.labels]
        rows.add_row(name, *counts, f"{len(in_split) / len(labels):.1%}", f"{requested:.0%}")
    console().print(rows)
    groups = len(set(data.groups.tolist()))
    console().print(f"{len(labels):,} photos in {groups:,} groups. Each group is in one split. Table: {printable(out)}")
    print_unreadable(data.skipped)
    exit_with(data.skipped)
