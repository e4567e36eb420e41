"""`roadclear evaluate`: a model and a labelled folder -> metrics with intervals."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.console import (
    confusion_line,
    console,
    exit_with,
    metrics_table,
    percent_with_interval,
    print_unreadable,
    progress_bars,
)
from roadclear.cli.options import EngineOption, JsonOption, RunArgument
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.data.dataset import Dataset
    from roadclear.model.prediction import Prediction
    from roadclear.model.predictor import Model


def evaluate(
    run: RunArgument,
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    gallery: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to make, with a page of the worst mistakes.", show_default=False),
    ] = None,
    engine: EngineOption = "openvino",
    json: JsonOption = False,
) -> None:
    """Measure a model on labelled photos that it has not seen."""
    import numpy as np

    from roadclear.data.dataset import load_folder
    from roadclear.images.decode import UnreadablePhoto, skipped_values
    from roadclear.metrics.classification import evaluate as evaluate_probabilities
    from roadclear.metrics.classification import evaluation_values
    from roadclear.model.prediction import Prediction
    from roadclear.model.predictor import load
    from roadclear.utils.tables import to_json

    if gallery is not None:
        from roadclear.utils.files import check_new_folder

        check_new_folder(gallery, [photos])
    model = load(run, engine)
    facts = model.facts
    dataset = load_folder(photos, (facts.positive, facts.negative))
    judged: list[tuple[Prediction, str]] = []
    unreadable: list[UnreadablePhoto] = []
    with progress_bars() as progress:
        results = model.predict_many([photo.path for photo in dataset.photos])
        for done, (photo, result) in enumerate(zip(dataset.photos, results, strict=True), start=1):
            if isinstance(result, Prediction):
                judged.append((result, photo.label))
            else:
                unreadable.append(result)
            progress("Predicting", done, len(dataset.photos))
    positive = np.array([label == facts.positive for _, label in judged], dtype=bool)
    probabilities = np.array([prediction.probability for prediction, _ in judged])
    evaluation = evaluate_probabilities(positive, probabilities, facts.threshold)
    print_unreadable(unreadable)
    _tell_seen(run, dataset)
    if json:
        head = {"positive": facts.positive, "negative": facts.negative, "threshold": facts.threshold}
        print(to_json(head | evaluation_values(evaluation) | {"skipped": skipped_values(unreadable)}))
    else:
        out = console()
        out.print(metrics_table({f"positive: {facts.positive}": evaluation}))
        out.print(confusion_line(evaluation, facts.positive, facts.negative))
        out.print(f"\nAccuracy {percent_with_interval(evaluation)}", style="bold")
    if gallery is not None:
        _write_gallery(gallery, model, judged)
    exit_with(unreadable)


def _tell_seen(run: Path, dataset: "Dataset") -> None:
    """Warn where the model was trained on some of the photos."""
    from roadclear.training.seen import photos_seen

    seen = photos_seen(run, dataset.photos)
    if seen:
        of_all = f"{len(seen):,} of the {len(dataset.photos):,} photos"
        print(f"Warning: the model has seen {of_all} in training: the numbers flatter it.", file=sys.stderr)


def _write_gallery(folder: Path, model: "Model", judged: "Sequence[tuple[Prediction, str]]") -> None:
    from roadclear.report.gallery import INDEX, find_mistakes, write_gallery

    mistakes = find_mistakes(judged, model.facts.positive)
    write_gallery(folder, model, mistakes, len(judged))
    print(f"{'Mistakes' if mistakes else 'No mistakes'}: {printable(folder / INDEX)}", file=sys.stderr)
