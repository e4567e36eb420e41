"""`roadclear compare`: two models and a labelled folder -> which is better, or that it cannot be told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_unreadable, progress_bars, table
from roadclear.cli.options import EngineOption, JsonOption
from roadclear.errors import DatasetError, ModelFileError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from roadclear.data.dataset import LabelledPhoto
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.metrics.comparison import Answers, Comparison
    from roadclear.model.prediction import Prediction
    from roadclear.model.predictor import Model
    from roadclear.utils.progress import ProgressCallback

    Results = list[Prediction | UnreadablePhoto]


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run folder, or a model.onnx.", show_default=False)],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another.", show_default=False)],
    photos: Annotated[Path, typer.Argument(help="Folder with one subfolder of photos a label.", show_default=False)],
    engine: EngineOption = "openvino",
    json: JsonOption = False,
) -> None:
    """Say which of two models is better, on labelled photos that neither has seen.

    Photos that the run of either was trained on are left out. Photos of one scene, where manifest.csv tells scenes,
    count as a whole.
    """
    import numpy as np

    from roadclear.data.dataset import load_folder
    from roadclear.images.decode import UnreadablePhoto, skipped_values
    from roadclear.metrics.comparison import compare as compare_answers
    from roadclear.model.predictor import load
    from roadclear.training.seen import photos_seen
    from roadclear.utils.tables import to_json

    a, b = load(run_a, engine), load(run_b, engine)
    _check_labels(a, b)
    positive = a.facts.positive
    dataset = load_folder(photos, (a.facts.positive, a.facts.negative))
    seen = {name: photos_seen(run, dataset.photos) for name, run in (("A", run_a), ("B", run_b))}
    left_out = frozenset[str]().union(*(files or () for files in seen.values()))
    unseen = [photo for photo in dataset.photos if photo.file not in left_out]
    if not unseen:
        raise DatasetError(
            f"expected photos that neither model was trained on, found none among {len(dataset.photos):,}: give others"
        )
    with progress_bars() as progress:
        of_a, of_b = _predict(a, "A", unseen, progress), _predict(b, "B", unseen, progress)
    # Whether a photo can be read does not depend on the model.
    unreadable = [result for result in of_a if isinstance(result, UnreadablePhoto)]
    usable = [photo for photo, result in zip(unseen, of_a, strict=True) if not isinstance(result, UnreadablePhoto)]
    groups = _scenes(usable)
    truth = np.array([photo.label == positive for photo in usable], dtype=bool)
    comparison = compare_answers(truth, _answers(a, of_a, positive), _answers(b, of_b, positive), groups)
    drawn_by = "photo" if groups is None else "scene"
    print_unreadable(unreadable)
    if json:
        facts = {
            "positive": positive,
            "negative": a.facts.negative,
            "seen": {name: None if files is None else len(files) for name, files in seen.items()},
            "left_out": len(left_out),
            "drawn_by": drawn_by,
        }
        print(to_json(facts | _values(comparison) | {"skipped": skipped_values(unreadable)}))
    else:
        told = [
            f"A: {printable(run_a)}",
            f"B: {printable(run_b)}",
            *_seen_lines(seen, len(left_out), len(dataset.photos)),
        ]
        _summarise(comparison, told, drawn_by)
    exit_with(unreadable)


def _summarise(comparison: "Comparison", told_before: Sequence[str], drawn_by: str) -> None:
    from roadclear.metrics.comparison import describe_comparison

    out = console()
    for line in told_before:
        out.print(line)
    out.print(_table(comparison))
    out.print(
        f"Right in A only: {comparison.only_a:,}, in B only: {comparison.only_b:,} (McNemar's exact test: p = "
        f"{comparison.p_value:.3f}). Intervals: bootstrap by {drawn_by}, {comparison.groups:,} of them."
    )
    out.print(f"\n{describe_comparison(comparison)}", style="bold")


def _check_labels(a: "Model", b: "Model") -> None:
    labels_a, labels_b = (sorted((model.facts.positive, model.facts.negative)) for model in (a, b))
    if labels_a != labels_b:
        raise ModelFileError(
            f"expected two models of the same labels, found {' and '.join(map(repr, labels_a))} in A, "
            f"{' and '.join(map(repr, labels_b))} in B: give two that answer one question"
        )


def _predict(model: "Model", name: str, photos: "Sequence[LabelledPhoto]", progress: "ProgressCallback") -> "Results":
    results: Results = []
    for result in model.predict_many([photo.path for photo in photos]):
        results.append(result)
        progress(f"Predicting with {name}", len(results), len(photos))
    return results


def _answers(model: "Model", results: "Results", positive: str) -> "Answers":
    """What a model said, as probabilities of one label, whichever of the two it was trained to find."""
    import numpy as np

    from roadclear.metrics.comparison import Answers
    from roadclear.model.prediction import Prediction

    said = [result for result in results if isinstance(result, Prediction)]
    probability = np.array([result.probability for result in said], dtype=np.float64)
    called = np.array([result.label == positive for result in said], dtype=bool)
    return Answers(probability if model.facts.positive == positive else 1 - probability, called)


def _scenes(photos: "Sequence[LabelledPhoto]") -> "NDArray[np.intp] | None":
    """Groups by the manifest's scenes; None where it tells of none."""
    from roadclear.data.groups import group_ids, links_of
    from roadclear.data.settings import GroupSettings

    if all(photo.scene is None for photo in photos):
        return None
    return group_ids([links_of(photo, GroupSettings()) for photo in photos])


def _seen_lines(seen: "Mapping[str, frozenset[str] | None]", left_out: int, photos: int) -> list[str]:
    """Which photos do not count, and what cannot be known of that."""
    known = [f"{name} has seen {len(files):,}" for name, files in seen.items() if files is not None]
    lines = [
        f"Which photos {name} was trained on cannot be known from a model file alone: give its run folder."
        for name, files in seen.items()
        if files is None
    ]
    if left_out:
        told = " and ".join(known)
        lines.append(f"{left_out:,} of {photos:,} photos are left out: {told} of them in training.")
    return lines


def _table(comparison: "Comparison") -> "Table":
    from roadclear.metrics.comparison import LESS_IS_BETTER

    numbers = ["A", "B", "B - A", "95% interval"]
    result = table("", *numbers, numbers=numbers)
    for name, pair in comparison.metrics.items():
        words = name.replace("_", " ") + (" (less is better)" if name in LESS_IS_BETTER else "")
        low, high = pair.difference.ci95
        row = f"{pair.a:.3f}", f"{pair.b:.3f}", f"{pair.difference.value:+.3f}", f"{low:+.3f} to {high:+.3f}"
        result.add_row(words, *row)
    return result


def _values(comparison: "Comparison") -> dict[str, Any]:
    from roadclear.metrics.comparison import describe_comparison
    from roadclear.metrics.intervals import estimate_values
    from roadclear.utils.tables import number_or_none

    return {
        "photos": comparison.n,
        "groups": comparison.groups,
        "metrics": {
            name: {
                "a": number_or_none(pair.a),
                "b": number_or_none(pair.b),
                "difference": estimate_values(pair.difference),
            }
            for name, pair in comparison.metrics.items()
        },
        "mcnemar": {"only_a": comparison.only_a, "only_b": comparison.only_b, "p": comparison.p_value},
        "better": comparison.better,
        "conclusion": describe_comparison(comparison),
    }
