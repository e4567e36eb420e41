"""`roadclear extract`: photos -> Parquet files of features, on this machine or on a cluster."""

from typing import Annotated, Any

import typer

from roadclear.cli.console import progress_bars
from roadclear.cli.options import JsonOption, OnOption, SourceArgument, takes
from roadclear.cli.shards import end_with_shards
from roadclear.data.settings import SourceSettings
from roadclear.features.settings import EngineSettings, FeatureSettings
from roadclear.images.settings import AugmentSettings
from roadclear.utils.storage import name_of


@takes(EngineSettings, AugmentSettings, FeatureSettings, SourceSettings)
def extract(
    chosen: dict[str, Any],
    photos: SourceArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="DIR", help="Folder or s3:// address for the Parquet files.", rich_help_panel="Output"
        ),
    ],
    on: OnOption = "local",
    json: JsonOption = False,
) -> None:
    """Compute the features of photos, and write them as Parquet files for train --features.

    PHOTOS may be {0000..0999}.tar. One shard becomes one file, whose name follows from content and options. The same
    command goes on after an interruption, and computes only what is missing.
    """
    from roadclear.training.config import PrepareSettings
    from roadclear.training.from_shards import FeatureShards
    from roadclear.training.from_shards import extract as extract_shards

    settings = PrepareSettings.from_mapping(chosen)
    with progress_bars() as progress:
        mapped = list(extract_shards(photos, settings, FeatureShards(to, on), progress))
    end_with_shards(mapped, name_of(to), json)
