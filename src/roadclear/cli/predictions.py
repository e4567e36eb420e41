"""What `roadclear predict` does: photos and options that are parsed -> printed predictions.

The module imports no parser of options, so that `predict` without options starts sooner.
"""

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from roadclear.cli.console import (
    console,
    exit_with,
    print_csv_row,
    print_sentences,
    print_unreadable,
    progress_bars,
    table,
)
from roadclear.cli.inputs import is_address, is_source
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


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Options of `predict`. None stands for what the model says, for no heatmaps, and for answers that are printed."""

    engine: str = "openvino"
    threshold: float | None = None
    unsure: tuple[float, float] | None = None
    coverage: float | None = None
    max_error: float | None = None
    max_unsure: float | None = None
    allow_download: bool = False
    format: Format = Format.table
    heatmaps: Path | None = None
    to: str | None = None
    on: str = "local"


def predict_photos(words: list[str], chosen: Choices) -> NoReturn:
    """Predict photos, print the predictions, and end the program.

    Args:
        words: a model or none, and at least one photo, folder, archive, address or pattern.
        chosen: options.

    Raises:
        OptionError, DatasetError, OutputError, ModelFileError, EngineError: see `roadclear.errors`.
    """
    from roadclear.cli.inputs import find_inputs
    from roadclear.model.predictor import load

    run, named = _divide(words)
    if chosen.heatmaps is not None:
        check_new_folder(chosen.heatmaps, named)
    if chosen.to is None and chosen.on != "local":
        raise OptionError(f"--on {chosen.on} needs a folder that all machines can write: add --to DIR")
    model = load(run, chosen.engine)
    promise = chosen.coverage, chosen.max_error, chosen.max_unsure
    if any(value is not None for value in (chosen.threshold, chosen.unsure, *promise)):
        model = model.with_rule(chosen.threshold, chosen.unsure, *promise)
    if any(value is not None for value in promise):
        _say_what_is_promised(model.facts, chosen.coverage)
    if chosen.to is not None:
        _write_answers(model, named, chosen, chosen.to)
    inputs = find_inputs(named, chosen.allow_download)
    photos = inputs.photos
    if not photos:
        raise DatasetError(
            f"expected photos, found none in {', '.join(map(printable, named))}: name a folder that has some"
        )
    render = {Format.table: _print_table, Format.csv: _print_csv, Format.jsonl: _print_jsonl}[chosen.format]
    answers: Counter[str] = Counter()
    # Rows that are printed as they come would break a progress bar on the same terminal.
    draw = chosen.format is Format.table or not sys.stdout.isatty()
    results = inputs.merge(_results(model, inputs.local, chosen.heatmaps))
    unreadable = render(_counted(results, len(photos), answers, draw), model.facts)
    _print_counts(answers, chosen.format, model.facts)
    if chosen.heatmaps is not None and len(unreadable) < len(photos):
        print(f"Heatmaps: {printable(chosen.heatmaps)}", file=sys.stderr)
    exit_with(unreadable)


def _write_answers(model: "Model", named: list[str], chosen: Choices, target: str) -> NoReturn:
    """Write the answers for the photos of a source as Parquet files, and end the program."""
    from roadclear.cli.shards import end_with_shards
    from roadclear.data.shards.mapping import ShardMap, map_shards
    from roadclear.data.shards.opening import open_source
    from roadclear.model.answers import PredictionWork
    from roadclear.utils.executors import make_executor
    from roadclear.utils.storage import name_of

    if len(named) > 1 or chosen.heatmaps is not None:
        found = "heatmaps" if chosen.heatmaps is not None else f"{len(named)} words"
        raise OptionError(f"expected one folder or range of shards with --to, found {found}: run one command for each")
    work = ShardMap(PredictionWork(model, chosen.engine), name_of(target))
    with progress_bars() as progress:
        mapped = list(map_shards(make_executor(chosen.on), work, open_source(named[0]), progress))
    end_with_shards(mapped, name_of(target), json=False)


def _say_what_is_promised(facts: "ModelFacts", coverage: float | None) -> None:
    """Print the unsure band, what the band promises, and why it does not promise what was asked for."""
    from roadclear.report.messages import coverage_warning, lower_promise_sentence, promise_sentence

    band = f"The answer is unsure from {facts.band.low:.4f} to {facts.band.high:.4f}."
    promised = coverage_warning(coverage, facts) or promise_sentence(facts)
    remark(" ".join(filter(None, (band, promised, lower_promise_sentence(facts)))))


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


def _print_counts(answers: Counter[str], format: Format, facts: "ModelFacts") -> None:  # noqa: A002
    """Print how many photos got each answer: below a table, or beside rows for programs on a terminal.

    Below a table stands what the model promises, too.
    """
    from roadclear.report.messages import promise_sentence
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
        print_sentences(promise_sentence(facts), console())
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
    if is_address(words[0]) or is_source(words[0]):
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
