"""`roadclear predict`: a model and photos -> a label and a probability for every photo."""

from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.options import EngineOption, OnOption
from roadclear.cli.predictions import Choices, Format, predict_photos


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] PHOTOS...",
            help="A run folder, a model.onnx or 'stock'. (default: the stock model) Then photos, folders, ZIP, tar "
            "or Parquet files of photos, https addresses (with --allow-download), s3:// addresses, or quoted patterns "
            "such as 'more/*.png'.",
            show_default=False,
        ),
    ],
    engine: EngineOption = "openvino",
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help="Least probability of a positive answer, 0 to 1. The model's unsure band is stretched to it. "
            "(default: the model's)",
            show_default=False,
            rich_help_panel="Decision",
        ),
    ] = None,
    unsure: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Probabilities with the answer unsure; equal numbers for none. The model's coverage then no longer "
            "holds. (default: the model's)",
            show_default=False,
            rich_help_panel="Decision",
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            metavar="C",
            help="Least share of photos of each label whose answer is right or unsure, 0.5 to below 1. "
            "(default: the model's promise)",
            show_default=False,
            rich_help_panel="Decision",
        ),
    ] = None,
    max_error: Annotated[
        float | None,
        typer.Option(
            metavar="E",
            help="Largest share of wrong answers among the photos that are answered, above 0 to 0.5; all others are "
            "unsure. (default: the model's promise)",
            show_default=False,
            rich_help_panel="Decision",
        ),
    ] = None,
    max_unsure: Annotated[
        float | None,
        typer.Option(
            metavar="U",
            help="Largest share of photos that may be unsure to keep --max-error. (default: 0.25)",
            show_default=False,
            rich_help_panel="Decision",
        ),
    ] = None,
    allow_download: Annotated[
        bool,
        typer.Option(
            "--allow-download", help="Fetch photos that are named by https addresses.", rich_help_panel="Network"
        ),
    ] = False,
    format: Annotated[  # noqa: A002
        Format,
        typer.Option(
            help="Output on stdout: a table for people, or csv or jsonl for programs.", rich_help_panel="Output"
        ),
    ] = Format.table,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="New folder for a heatmap of each photo: what every place adds to the prediction. (default: none)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder or s3:// address for Parquet files of answers, one for each shard of PHOTOS. Photos are not "
            "copied to the disk. (default: print the answers)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    on: OnOption = "local",
) -> None:
    """Predict the label of every photo, or "unsure", and the probability of the positive class."""
    predict_photos(
        words,
        Choices(
            engine=engine,
            threshold=threshold,
            unsure=unsure,
            coverage=coverage,
            max_error=max_error,
            max_unsure=max_unsure,
            allow_download=allow_download,
            format=format,
            heatmaps=heatmaps,
            to=to,
            on=on,
        ),
    )
