"""`roadclear evaluate`: a model and a labelled folder -> metrics with intervals."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import (
    confusion_line,
    console,
    exit_with,
    metrics_table,
    print_closing,
    print_sentences,
    print_unreadable,
    progress_bars,
)
from roadclear.cli.options import EngineOption, JsonOption, RunArgument, SourceArgument, takes
from roadclear.cli.remarks import check_order
from roadclear.data.settings import SourceSettings
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.model.evaluate import EvaluationResult


@takes(SourceSettings)
def evaluate(
    chosen: dict[str, Any],
    run: RunArgument,
    photos: SourceArgument,
    engine: EngineOption = "openvino",
    gallery: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="New folder for a page of the mistakes, the most confident first. (default: no page)",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure a model on labelled photos that the model was not trained on."""
    from roadclear.report.messages import kept_sentences
    from roadclear.training.api import evaluate as evaluate_on_folder
    from roadclear.utils.files import check_new_folder

    check_order("evaluate", [run], photos)
    if gallery is not None:
        check_new_folder(gallery, [photos])
    with progress_bars() as progress:
        columns = SourceSettings(**chosen)
        result = evaluate_on_folder(run, photos, engine=engine, progress=progress, columns=columns)
    print_unreadable(result.skipped)
    if result.warning is not None:
        print(f"Warning: {result.warning}", file=sys.stderr)
    if result.note is not None:
        print(f"Note: {result.note}", file=sys.stderr)
    if json:
        _print_json(result)
    else:
        facts, out = result.model.facts, console()
        out.print(metrics_table({f"positive: {facts.positive}": result.evaluation}))
        out.print(confusion_line(result.evaluation, facts.positive, facts.negative))
        print_sentences(result.counted, out)
        out.print()
        print_closing("Accuracy", result.evaluation, facts.positive, facts.negative)
        print_sentences(kept_sentences(result), out)
    if gallery is not None:
        _write_gallery(gallery, result)
    exit_with(result.skipped)


def _print_json(result: "EvaluationResult") -> None:
    from roadclear.images.decode import skipped_values
    from roadclear.metrics.classification import evaluation_values
    from roadclear.metrics.intervals import estimate_values
    from roadclear.utils.tables import to_json

    facts = result.model.facts
    head = {"positive": facts.positive, "negative": facts.negative, "threshold": facts.threshold}
    seen = {"seen": None if result.seen is None else len(result.seen), "seen_by_chance": result.seen_by_chance}
    answers = {
        "unsure": estimate_values(result.unsure),
        "wrong": estimate_values(result.wrong),
        "promise": None if facts.promise is None else asdict(facts.promise),
    }
    print(
        to_json(
            head | evaluation_values(result.evaluation) | answers | {"skipped": skipped_values(result.skipped)} | seen
        )
    )


def _write_gallery(folder: Path, result: "EvaluationResult") -> None:
    from roadclear.report.gallery import INDEX, find_mistakes, write_gallery

    mistakes = find_mistakes(result.labelled, result.model.facts.positive)
    write_gallery(folder, result.model, mistakes, len(result.predictions))
    print(f"{'Mistakes' if mistakes else 'No mistakes'}: {printable(folder / INDEX)}", file=sys.stderr)
