"""What the commands share: exit codes, tables, progress bars, and file names that are safe to print."""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from roadclear.images.decode import UnreadablePhoto
    from roadclear.metrics.classification import Evaluation
    from roadclear.utils.progress import ProgressCallback

from roadclear.utils.text import printable

FAILED, WRONG_USAGE, SOME_UNREADABLE = 1, 2, 3

_UNREADABLE_SHOWN = 20


def console(stderr: bool = False) -> "Console":
    """Where tables for people are printed. Brackets in names mean nothing to it."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False)


def table(*columns: str, numbers: Sequence[str] = ()) -> "Table":
    """An empty table; the columns named in `numbers` are aligned to the right."""
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        result.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return result


@contextmanager
def progress_bars() -> Iterator["ProgressCallback"]:
    """A function that draws progress by stage, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console(stderr=True)) as bars:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress


def metrics_table(evaluations: Mapping[str, "Evaluation"]) -> "Table":
    """Metrics with their 95% intervals, one column an evaluation."""
    result = table("", *evaluations, numbers=list(evaluations))
    first = next(iter(evaluations.values()))
    for name in first.metrics:
        estimates = [evaluation.metrics[name] for evaluation in evaluations.values()]
        result.add_row(
            name.replace("_", " "),
            *(f"{e.value:.3f}  ({e.ci95[0]:.3f} to {e.ci95[1]:.3f})" for e in estimates),
        )
    return result


def confusion_line(evaluation: "Evaluation", positive: str, negative: str) -> str:
    """The confusion matrix in words."""
    c = evaluation.confusion
    return (
        f"{positive}: {c.tp} found, {c.fn} missed; {negative}: {c.tn} right, {c.fp} called {positive} "
        f"(threshold {evaluation.threshold:.3f})"
    )


def percent_with_interval(evaluation: "Evaluation", metric: str = "accuracy") -> str:
    """A proportion for a headline."""
    e = evaluation.metrics[metric]
    return f"{e.value:.1%} (95% interval {e.ci95[0]:.1%} to {e.ci95[1]:.1%}, {e.n:,} photos)"


def print_unreadable(unreadable: Sequence["UnreadablePhoto"]) -> None:
    """List on stderr the photos that could not be used."""
    if not unreadable:
        return
    photos = "photo" if len(unreadable) == 1 else "photos"
    print(f"{len(unreadable):,} {photos} could not be used:", file=sys.stderr)
    for photo in unreadable[:_UNREADABLE_SHOWN]:
        print(f"  {printable(photo.file)}: {photo.reason}", file=sys.stderr)
    if len(unreadable) > _UNREADABLE_SHOWN:
        print(f"  and {len(unreadable) - _UNREADABLE_SHOWN:,} more", file=sys.stderr)


def print_csv_row(values: Sequence[object]) -> None:
    """One line of CSV on stdout; a file name that is not UTF-8 keeps its bytes."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(values)
    sys.stdout.buffer.write(line.getvalue().encode("utf-8", errors="surrogateescape"))
    sys.stdout.buffer.flush()


def exit_with(unreadable: Sequence["UnreadablePhoto"]) -> NoReturn:
    """End the command: with 3 where photos could not be used, else with 0."""
    sys.exit(SOME_UNREADABLE if unreadable else 0)
