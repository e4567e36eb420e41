"""`roadclear predict`: a model and photos -> a label and a probability for each."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.options import EngineOption, RunArgument
from roadclear.cli.output import console, exit_with, print_csv_row, shown, table, tell_unreadable
from roadclear.errors import DatasetError

if TYPE_CHECKING:
    from roadclear.model import Prediction, Unreadable
    from roadclear.modelfile import ModelFacts

    Results = Iterator[Prediction | Unreadable]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


def predict(
    run: RunArgument,
    inputs: Annotated[
        list[str], typer.Argument(help="Photos, folders, or quoted patterns such as 'more/*.png'.", show_default=False)
    ],
    format: Annotated[Format, typer.Option(help="A table for people, or csv or jsonl on stdout.")] = Format.table,  # noqa: A002
    heatmaps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to make, with a picture of what each place adds.", show_default=False),
    ] = None,
    engine: EngineOption = "openvino",
) -> None:
    """Say for every photo which label it has, and how probable the positive one is."""
    from roadclear.dataset import find_photos
    from roadclear.model import load

    model = load(run, engine)
    photos = list(find_photos(inputs))
    if not photos:
        raise DatasetError(
            f"expected photos, found none in {', '.join(map(shown, inputs))}: name a folder that has some"
        )
    render = {Format.table: _print_table, Format.csv: _print_csv, Format.jsonl: _print_jsonl}[format]
    if heatmaps is None:
        exit_with(render(model.predict_many(photos), model.facts))
    from roadclear.pictures.gallery import check_new_folder, write_heatmaps

    check_new_folder(heatmaps, inputs)
    unreadable = render(write_heatmaps(model, photos, heatmaps), model.facts)
    if len(unreadable) < len(photos):
        print(f"Heatmaps: {shown(heatmaps)}", file=sys.stderr)
    exit_with(unreadable)


def _print_jsonl(results: "Results", facts: "ModelFacts") -> "list[Unreadable]":
    def show(result: "Prediction") -> None:
        values = {
            "file": os.fspath(result.file),
            "label": result.label,
            "probability": result.probability,
            "positive": facts.positive,
            "threshold": facts.threshold,
        }
        print(json.dumps(values), flush=True)

    return _each(results, show, lambda u: print(json.dumps({"file": os.fspath(u.file), "error": u.reason}), flush=True))


def _print_csv(results: "Results", facts: "ModelFacts") -> "list[Unreadable]":
    print_csv_row(("file", "label", "probability", "positive", "threshold", "error"))
    return _each(
        results,
        lambda p: print_csv_row((p.file, p.label, p.probability, facts.positive, facts.threshold, "")),
        lambda u: print_csv_row((u.file, "", "", facts.positive, facts.threshold, u.reason)),
    )


def _print_table(results: "Results", facts: "ModelFacts") -> "list[Unreadable]":
    rows = table("photo", "label", f"P({facts.positive})", numbers=[f"P({facts.positive})"])
    unreadable = _each(results, lambda p: rows.add_row(shown(p.file), p.label, f"{p.probability:.3f}"), lambda u: None)
    if rows.row_count:
        console().print(rows)
    tell_unreadable(unreadable)
    return unreadable


def _each(
    results: "Results", show: "Callable[[Prediction], None]", show_unreadable: "Callable[[Unreadable], None]"
) -> "list[Unreadable]":
    """Show every result as it comes; gives those that could not be read."""
    from roadclear.model import Prediction

    unreadable: list[Unreadable] = []
    for result in results:
        if isinstance(result, Prediction):
            show(result)
        else:
            unreadable.append(result)
            show_unreadable(result)
    return unreadable
