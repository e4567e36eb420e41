"""`roadclear split`: a labelled folder -> a table that says which photo is in which part."""

from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.console import console, exit_with, progress_bars, shown, table, tell_unreadable
from roadclear.cli.options import EngineOption, GroupByAuthorOption, GroupByOption, GroupByPageOption


def split(
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    out: Annotated[Path, typer.Option(help="CSV file to write: file, label, split, group.")],
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    group_by: GroupByOption = None,
    group_by_page: GroupByPageOption = False,
    group_by_author: GroupByAuthorOption = False,
    engine: EngineOption = "openvino",
) -> None:
    """Split photos into train, validation and test, so that nothing alike is on both sides.

    Edit the table if you like, and use it: roadclear train PHOTOS --split FILE.
    """
    from roadclear.data.dataset import load_folder
    from roadclear.data.groups import GroupingRule
    from roadclear.data.split import SHARES
    from roadclear.features.cache import default_cache_path, open_cache
    from roadclear.features.extractor import default_extractor
    from roadclear.training.prepare import place
    from roadclear.training.run_folder import split_table
    from roadclear.utils.files import write_file

    rule = GroupingRule(group_by, group_by_page, group_by_author)
    dataset = load_folder(photos)
    with open_cache(default_cache_path()) as cache, progress_bars() as report:
        extractor = default_extractor(cache, engine)
        placement = place(dataset.photos, dataset.labels, extractor, rule, seed, SHARES, report)
    write_file(out, split_table(placement))
    rows = table("part", *dataset.labels, "share", "wished", numbers=[*dataset.labels, "share", "wished"])
    labels = [photo.label for photo in placement.photos]
    for part, wished in SHARES.items():
        of_part = [label for label, p in zip(labels, placement.parts, strict=True) if p == part]
        counts = [f"{of_part.count(label):,}" for label in dataset.labels]
        rows.add_row(part, *counts, f"{len(of_part) / len(labels):.1%}", f"{wished:.0%}")
    console().print(rows)
    groups = len(set(placement.groups.tolist()))
    console().print(f"{len(labels):,} photos in {groups:,} groups, none on two sides: {shown(out)}")
    tell_unreadable(placement.skipped)
    exit_with(placement.skipped)
