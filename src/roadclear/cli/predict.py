"""`roadclear predict`: a model and photos -> a label and a probability for every photo."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_csv_row, print_unreadable, table
from roadclear.cli.options import EngineOption
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.metadata import ModelFacts
    from roadclear.model.prediction import Prediction

    Results = Iterator[Prediction | UnreadablePhoto]


class Format(StrEnum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] PHOTOS...",
            help="A run folder, a model.onnx or 'stock'. (default: the stock model) Then photos, folders, or quoted "
            "patterns such as 'more/*.png'.",
            show_default=False,
        ),
    ],
    engine: EngineOption = "openvino",
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
) -> None:
    """Predict the label of every photo, or "unsure", and the probability of the positive class."""
    from roadclear.data.discovery import find_photos
    from roadclear.model.predictor import load

    run, inputs = _divide(words)
    model = load(run, engine)
    photos = list(find_photos(inputs))
    if not photos:
        raise DatasetError(
            f"expected photos, found none in {', '.join(map(printable, inputs))}: name a folder that has some"
        )
    render = {Format.table: _print_table, Format.csv: _print_csv, Format.jsonl: _print_jsonl}[format]
    if heatmaps is None:
        exit_with(render(model.predict_many(photos), model.facts))
    from roadclear.report.gallery import write_heatmaps
    from roadclear.utils.files import check_new_folder

    check_new_folder(heatmaps, inputs)
    unreadable = render(write_heatmaps(model, photos, heatmaps), model.facts)
    if len(unreadable) < len(photos):
        print(f"Heatmaps: {printable(heatmaps)}", file=sys.stderr)
    exit_with(unreadable)


def _divide(words: list[str]) -> tuple[str, list[str]]:
    """Split the words into a model and photos. Without a model in the first word, it is the stock model."""
    from roadclear.data.discovery import find_photos, named_like_a_photo
    from roadclear.model.predictor import MODEL_FILE, STOCK

    first = Path(words[0])
    if words[0] == STOCK or first.suffix == ".onnx" or (first / MODEL_FILE).is_file():
        if len(words) == 1:
            raise OptionError(f"expected photos after the model {words[0]!r}, found none: name a photo or a folder")
        return words[0], words[1:]
    if not os.path.lexists(first) and list(find_photos(words[:1])) == [first] and not named_like_a_photo(first.name):
        raise OptionError(f"expected a run, a model or photos, found nothing at {words[0]!r}: check the name")
    print("No run was named: this is the stock model (roadclear info stock).", file=sys.stderr)
    return STOCK, words


def _print_jsonl(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    def show(result: "Prediction") -> None:
        print(json.dumps(_values(result, facts)), flush=True)

    return _each(results, show, lambda u: print(json.dumps({"file": str(u.file), "error": u.reason}), flush=True))


def _print_csv(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    columns = ("file", "answer", "label", "probability", "unfamiliar", "distance", "positive", "threshold", "error")
    print_csv_row(columns)

    def print_row(values: dict[str, Any]) -> None:
        print_csv_row([_cell(values.get(column, "")) for column in columns])

    return _each(
        results,
        lambda p: print_row(_values(p, facts)),
        lambda u: print_row({"file": str(u.file), "error": u.reason}),
    )


def _values(result: "Prediction", facts: "ModelFacts") -> dict[str, Any]:
    return {
        "file": str(result.file),
        "answer": result.answer,
        "label": result.label,
        "probability": result.probability,
        "unfamiliar": result.unfamiliar,
        "distance": result.distance,
        "positive": facts.positive,
        "threshold": facts.threshold,
    }


def _cell(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _print_table(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    rows = table("photo", "answer", f"P({facts.positive})", "", numbers=[f"P({facts.positive})"])

    def show(p: "Prediction") -> None:
        remark = "unlike the training photos" if p.unfamiliar else ""
        rows.add_row(printable(str(p.file)), p.answer, f"{p.probability:.3f}", remark)

    unreadable = _each(results, show, lambda u: None)
    if rows.row_count:
        console().print(rows)
    print_unreadable(unreadable)
    return unreadable


def _each(
    results: "Results", show: "Callable[[Prediction], None]", show_unreadable: "Callable[[UnreadablePhoto], None]"
) -> "list[UnreadablePhoto]":
    """Show every result as it comes, and return the photos that could not be read."""
    from roadclear.model.prediction import Prediction

    unreadable: list[UnreadablePhoto] = []
    for result in results:
        if isinstance(result, Prediction):
            show(result)
        else:
            unreadable.append(result)
            show_unreadable(result)
    return unreadable
