"""`roadclear compare`: two models and a labelled folder -> which model is better, if the photos can show it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roadclear.cli.console import console, exit_with, print_unreadable, progress_bars, table
from roadclear.cli.options import EngineOption, JsonOption, SourceArgument, takes
from roadclear.cli.remarks import check_order
from roadclear.data.settings import SourceSettings
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from rich.table import Table

    from roadclear.metrics.comparison import Comparison
    from roadclear.training.compare import ComparisonResult


@takes(SourceSettings)
def compare(
    chosen: dict[str, Any],
    run_a: Annotated[
        Path,
        typer.Argument(metavar="RUN_A", help="Model A: a run folder, a model.onnx, or 'stock'.", show_default=False),
    ],
    run_b: Annotated[
        Path,
        typer.Argument(metavar="RUN_B", help="Model B: a run folder, a model.onnx, or 'stock'.", show_default=False),
    ],
    photos: SourceArgument,
    engine: EngineOption = "openvino",
    json: JsonOption = False,
) -> None:
    """Find out which of two models is better, on labelled photos that neither was trained on.

    Photos that either model was trained on are left out, where its run folder or its file tells. Where manifest.csv
    names scenes, photos of one scene count as a whole.
    """
    from roadclear.training.compare import compare as compare_models

    check_order("compare", [run_a, run_b], photos)
    with progress_bars() as progress:
        columns = SourceSettings(**chosen)
        result = compare_models(run_a, run_b, photos, engine=engine, progress=progress, columns=columns)
    print_unreadable(result.skipped)
    if json:
        _print_json(result)
    else:
        _summarise(result, run_a, run_b)
    exit_with(result.skipped)


def _print_json(result: "ComparisonResult") -> None:
    from roadclear.images.decode import skipped_values
    from roadclear.metrics.comparison import comparison_values
    from roadclear.utils.tables import to_json

    head = {
        "positive": result.positive,
        "negative": result.negative,
        "seen": {name: None if files is None else len(files) for name, files in result.seen.items()},
        "seen_by_chance": dict(result.seen_by_chance),
        "left_out": len(result.left_out),
        "drawn_by": _drawn_by(result),
    }
    print(to_json(head | comparison_values(result.comparison) | {"skipped": skipped_values(result.skipped)}))


def _summarise(result: "ComparisonResult", run_a: Path, run_b: Path) -> None:
    from roadclear.metrics.comparison import describe_comparison

    out, comparison = console(), result.comparison
    out.print(f"A: {printable(run_a)}")
    out.print(f"B: {printable(run_b)}")
    for line in _seen_lines(result):
        out.print(line)
    out.print(_table(comparison))
    out.print(
        f"Right in A only: {comparison.only_a:,}, in B only: {comparison.only_b:,} (McNemar's exact test: p = "
        f"{comparison.p_value:.3f}). Intervals count by {_drawn_by(result)}, {comparison.groups:,} of them."
    )
    out.print(f"\n{describe_comparison(comparison)}", style="bold")


def _drawn_by(result: "ComparisonResult") -> str:
    return "scene" if result.by_scene else "photo"


def _seen_lines(result: "ComparisonResult") -> Iterator[str]:
    """Say which photos are left out, and which models do not say what they were trained on."""
    for name, files in result.seen.items():
        if files is None:
            yield f"It cannot be told which photos {name} was trained on: its model file does not say."
    if result.left_out:
        known = [f"{name} has seen {len(files):,}" for name, files in result.seen.items() if files is not None]
        yield (
            f"{len(result.left_out):,} of {result.photos:,} photos are left out: {' and '.join(known)} of them in "
            "training."
        )
    for name, count in result.seen_by_chance.items():
        if count:
            yield f"At most {count:,} of the photos that {name} has seen may be a chance match."


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
