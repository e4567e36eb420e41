"""What the commands share: exit codes, tables, progress bars, and file names that are safe to print."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from roadclear.curation.moves import NotMoved
    from roadclear.images.decode import UnreadablePhoto
    from roadclear.metrics.classification import Evaluation
    from roadclear.utils.progress import ProgressCallback

from roadclear.cli.remarks import is_quiet
from roadclear.utils.tables import csv_lines
from roadclear.utils.text import printable

FAILED, WRONG_USAGE, SOME_UNREADABLE, INTERRUPTED = 1, 2, 3, 130

_LISTED = 20


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
    """A function that draws progress by stage, on a terminal only, and not for a quiet command."""
    if is_quiet() or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console(stderr=True)) as bars:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            elif done < total and bars.tasks[bars.task_ids.index(tasks[stage])].finished:
                bars.reset(tasks[stage], total=total)  # The stage begins again.
            bars.update(tasks[stage], completed=done, total=total)

        yield progress


def metrics_table(evaluations: Mapping[str, "Evaluation"]) -> "Table":
    """Metrics with their 95% intervals, one column an evaluation."""
    from roadclear.report.words import number_with_interval

    result = table("", *evaluations, numbers=list(evaluations))
    first = next(iter(evaluations.values()))
    for name in first.metrics:
        estimates = [evaluation.metrics[name] for evaluation in evaluations.values()]
        result.add_row(name.replace("_", " "), *map(number_with_interval, estimates))
    return result


def confusion_line(evaluation: "Evaluation", positive: str, negative: str) -> str:
    """The confusion matrix and its threshold in words."""
    from roadclear.report.messages import confusion_sentences, threshold_sentence

    confusion = confusion_sentences(evaluation.confusion, positive, negative)
    return f"{confusion} {threshold_sentence(positive, evaluation.threshold)}"


def print_closing(name: str, evaluation: "Evaluation", positive: str, negative: str) -> None:
    """Print the accuracy, the balanced accuracy where one label is larger, and warnings.

    Args:
        name: what the accuracy is called, as the beginning of the line.
        evaluation: metrics of the model on the photos.
        positive: positive label.
        negative: negative label.
    """
    from roadclear.report.headline import closing_lines

    out = console()
    lead, warnings = closing_lines(evaluation, positive, negative)
    print_sentences(f"{name}: {lead}", out, style="bold")
    for warning in warnings:
        print_warning(warning, out)


def print_sentences(sentences: str, out: "Console", style: str | None = None) -> None:
    """Print sentences, if there are any. A terminal gets line breaks between words, a file gets one line."""
    if sentences:
        out.print(printable(sentences), style=style, soft_wrap=not out.is_terminal)


def print_warning(sentences: str, out: "Console") -> None:
    """Print a warning in colour, if there is one."""
    if sentences:
        out.print(f"Warning: {printable(sentences)}", style="yellow", soft_wrap=not out.is_terminal)


def print_unreadable(unreadable: Sequence["UnreadablePhoto"]) -> None:
    """List on stderr the photos that could not be used."""
    _print_list("photo", "could not be used", [(_name(photo), photo.reason) for photo in unreadable])


def _name(photo: "UnreadablePhoto") -> str:
    """The name of a photo as the user knows it, also of a photo in an archive."""
    from roadclear.utils.temporary import origin_of

    return str(photo.file) if photo.file is None else origin_of(photo.file)


def print_not_moved(left: "Sequence[NotMoved]") -> None:
    """List on stderr the files that could not be moved."""
    _print_list("file", "could not be moved", [(one.file, one.why) for one in left])


def print_csv_row(values: Sequence[object]) -> None:
    """One line of CSV on stdout; a file name that is not UTF-8 keeps its bytes."""
    sys.stdout.buffer.write(csv_lines([values]).removesuffix(b"\r\n") + b"\n")
    sys.stdout.buffer.flush()


def exit_with(unreadable: Sequence["UnreadablePhoto"]) -> NoReturn:
    """End the command: with 3 where photos could not be used, else with 0."""
    sys.exit(SOME_UNREADABLE if unreadable else 0)


def _print_list(thing: str, problem: str, reasons: "Sequence[tuple[str | Path, str]]") -> None:
    """List files and what is wrong with each, the first 20 of them."""
    if not reasons:
        return
    print(f"{len(reasons):,} {thing if len(reasons) == 1 else thing + 's'} {problem}:", file=sys.stderr)
    for file, reason in reasons[:_LISTED]:
        print(f"  {printable(file)}: {printable(reason)}", file=sys.stderr)
    if len(reasons) > _LISTED:
        print(f"  and {len(reasons) - _LISTED:,} more", file=sys.stderr)
