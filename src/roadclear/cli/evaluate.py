"""`roadclear evaluate`: a model and a labelled folder -> metrics with intervals."""

from pathlib import Path
from typing import Annotated

import typer

from roadclear.cli.options import EngineOption, JsonOption, RunArgument
from roadclear.cli.output import (
    confusion_line,
    console,
    exit_with,
    metrics_table,
    percent_with_interval,
    progress_bars,
    tell_unreadable,
)


def evaluate(
    run: RunArgument,
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    engine: EngineOption = "openvino",
    json: JsonOption = False,
) -> None:
    """Measure a model on labelled photos that it has not seen."""
    import numpy as np

    from roadclear.dataset import load_folder
    from roadclear.evaluation import evaluate as evaluate_probabilities
    from roadclear.model import Prediction, Unreadable, load
    from roadclear.run import evaluation_values, skipped_values, to_json

    model = load(run, engine)
    facts = model.facts
    dataset = load_folder(photos, (facts.positive, facts.negative))
    probabilities: list[float] = []
    positive: list[bool] = []
    unreadable: list[Unreadable] = []
    with progress_bars() as report:
        results = model.predict_many([photo.path for photo in dataset.photos])
        for done, (photo, result) in enumerate(zip(dataset.photos, results, strict=True), start=1):
            if isinstance(result, Prediction):
                probabilities.append(result.probability)
                positive.append(photo.label == facts.positive)
            else:
                unreadable.append(result)
            report("Predicting", done, len(dataset.photos))
    evaluation = evaluate_probabilities(np.array(positive, dtype=bool), np.array(probabilities), facts.threshold)
    tell_unreadable(unreadable)
    if json:
        head = {"positive": facts.positive, "negative": facts.negative, "threshold": facts.threshold}
        print(to_json(head | evaluation_values(evaluation) | {"skipped": skipped_values(unreadable)}))
    else:
        out = console()
        out.print(metrics_table({f"positive: {facts.positive}": evaluation}))
        out.print(confusion_line(evaluation, facts.positive, facts.negative))
        out.print(f"\nAccuracy {percent_with_interval(evaluation)}", style="bold")
    exit_with(unreadable)
