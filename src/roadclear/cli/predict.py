"""`roadclear predict`: a model and photos -> a label and a probability for every photo."""

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_csv_row, print_unreadable, progress_bars, table
from roadclear.cli.inputs import is_address
from roadclear.cli.options import EngineOption
from roadclear.cli.remarks import names_a_model, remark
from roadclear.errors import DatasetError, OptionError
from roadclear.utils.files import check_new_folder
from roadclear.utils.progress import no_progress
from roadclear.utils.temporary import origin_of
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.model.metadata import ModelFacts
    from roadclear.model.prediction import Prediction
    from roadclear.model.predictor import Model

    Results = Iterator[Prediction | UnreadablePhoto]


# Keys of the counts that are no label: a label is never empty.
_UNFAMILIAR, _UNREADABLE = "", "\0"


_STOCK_CHOSEN = "No run was named: this is the stock model (roadclear info stock)."


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
            help="A run folder, a model.onnx or 'stock'. (default: the stock model) Then photos, folders, ZIP archives "
            "of photos, https addresses (with --allow-download), or quoted patterns such as 'more/*.png'.",
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
            "(default: the model's)",
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
) -> None:
    """Predict the label of every photo, or "unsure", and the probability of the positive class."""
    from roadclear.cli.inputs import find_inputs
    from roadclear.model.predictor import load

    run, named = _divide(words)
    if heatmaps is not None:
        check_new_folder(heatmaps, named)
    model = load(run, engine)
    if threshold is not None or unsure is not None or coverage is not None:
        model = model.with_rule(threshold, unsure, coverage)
    if coverage is not None:
        _say_what_is_promised(model.facts, coverage)
    inputs = find_inputs(named, allow_download)
    photos = inputs.photos
    if not photos:
        raise DatasetError(
            f"expected photos, found none in {', '.join(map(printable, named))}: name a folder that has some"
        )
    render = {Format.table: _print_table, Format.csv: _print_csv, Format.jsonl: _print_jsonl}[format]
    answers: Counter[str] = Counter()
    # Rows that are printed as they come would break a progress bar on the same terminal.
    draw = format is Format.table or not sys.stdout.isatty()
    results = inputs.merge(_results(model, inputs.local, heatmaps))
    unreadable = render(_counted(results, len(photos), answers, draw), model.facts)
    _print_counts(answers, format)
    if heatmaps is not None and len(unreadable) < len(photos):
        print(f"Heatmaps: {printable(heatmaps)}", file=sys.stderr)
    exit_with(unreadable)


def _say_what_is_promised(facts: "ModelFacts", requested: float) -> None:
    """Print the unsure band, and that the validation photos promise less where they are too few."""
    band = facts.band
    line = f"The answer is unsure from {band.low:.4f} to {band.high:.4f}."
    if band.coverage < requested - 1e-9:
        line += f" The validation photos are too few to promise {requested:.1%}: they promise {band.coverage:.1%}."
    remark(line)


def _results(model: "Model", photos: list[Path], heatmaps: Path | None) -> "Results":
    if heatmaps is None:
        return model.predict_many(photos)
    from roadclear.report.gallery import write_heatmaps

    return write_heatmaps(model, photos, heatmaps)


def _counted(results: "Results", total: int, answers: Counter[str], draw: bool) -> "Results":
    """Count answers, unfamiliar and unreadable photos as they pass, and draw progress on a terminal."""
    from roadclear.model.prediction import Prediction

    with progress_bars() if draw else nullcontext(no_progress) as progress:
        for done, result in enumerate(results, start=1):
            if isinstance(result, Prediction):
                answers[result.answer] += 1
                answers[_UNFAMILIAR] += result.unfamiliar
            else:
                answers[_UNREADABLE] += 1
            progress("Predicting", done, total)
            yield result


def _print_counts(answers: Counter[str], format: Format) -> None:  # noqa: A002
    """Print how many photos got each answer: below a table, or beside rows for programs on a terminal."""
    from roadclear.report.words import count

    counted = {answer: n for answer, n in sorted(answers.items()) if answer not in (_UNFAMILIAR, _UNREADABLE)}
    photos = sum(counted.values()) + answers[_UNREADABLE]
    if photos < 2 or not (format is Format.table or sys.stderr.isatty()):
        return
    parts = [f"{n:,} {answer}" for answer, n in counted.items()]
    parts += [f"{answers[_UNREADABLE]:,} could not be read"] if answers[_UNREADABLE] else []
    unlike = answers[_UNFAMILIAR]
    more = f" {count(unlike, 'photo is', 'photos are')} unlike the training photos." if unlike else ""
    line = printable(f"{count(photos, 'photo')}: {', '.join(parts)}.{more}")
    if format is Format.table:
        console().print(line)
    else:
        remark(line)


def _divide(words: list[str]) -> tuple[str, list[str]]:
    """Split the words into a model and photos. Without a model in the first word, it is the stock model."""
    from roadclear.data.discovery import find_photos, named_like_a_photo
    from roadclear.model.model_file import MODEL_FILE, is_file
    from roadclear.model.predictor import STOCK

    first = Path(words[0])
    if words[0] == STOCK or first.suffix == ".onnx" or is_file(first / MODEL_FILE):
        if len(words) == 1:
            raise OptionError(f"expected photos after the model {words[0]!r}, found none: name a photo or a folder")
        return words[0], words[1:]
    if is_address(words[0]):
        remark(_STOCK_CHOSEN)
        return STOCK, words
    if not os.path.lexists(first) and list(find_photos(words[:1])) == [first] and not named_like_a_photo(first.name):
        raise OptionError(f"expected a run, a model or photos, found nothing at {words[0]!r}: check the name")
    model = next((word for word in words[1:] if names_a_model(word)), None)
    if model is not None:
        line = shlex.join(["roadclear", "predict", model, *(word for word in words if word != model)])
        raise OptionError(f"expected the model first, then photos: {line}")
    remark(_STOCK_CHOSEN)
    return STOCK, words


def _print_jsonl(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    def show(result: "Prediction") -> None:
        print(json.dumps(_values(result, facts)), flush=True)

    return _each(results, show, lambda u: print(json.dumps({"file": _name(u), "error": u.reason}), flush=True))


def _print_csv(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    columns = ("file", "answer", "label", "probability", "unfamiliar", "distance", "positive", "threshold", "error")
    print_csv_row(columns)

    def print_row(values: dict[str, Any]) -> None:
        print_csv_row([_cell(values.get(column, "")) for column in columns])

    return _each(
        results,
        lambda p: print_row(_values(p, facts)),
        lambda u: print_row({"file": _name(u), "error": u.reason}),
    )


def _values(result: "Prediction", facts: "ModelFacts") -> dict[str, Any]:
    return {
        "file": _name(result),
        "answer": result.answer,
        "label": result.label,
        "probability": result.probability,
        "unfamiliar": result.unfamiliar,
        "distance": result.distance,
        "positive": facts.positive,
        "threshold": facts.threshold,
    }


def _name(result: "Prediction | UnreadablePhoto") -> str:
    """The path or address by which the user knows a photo."""
    return str(result.file) if result.file is None else origin_of(result.file)


def _cell(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _print_table(results: "Results", facts: "ModelFacts") -> "list[UnreadablePhoto]":
    rows = table("photo", "answer", f"P({facts.positive})", "", numbers=[f"P({facts.positive})"])

    def show(p: "Prediction") -> None:
        remark = "unlike the training photos" if p.unfamiliar else ""
        rows.add_row(printable(_name(p)), p.answer, f"{p.probability:.3f}", remark)

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
