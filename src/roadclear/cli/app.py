"""The application: commands, examples in the help, and how errors end the program."""

import inspect
import io
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer

from roadclear.cli.cache import cache_app
from roadclear.cli.clean import clean
from roadclear.cli.collect import collect
from roadclear.cli.compare import compare
from roadclear.cli.console import FAILED, INTERRUPTED, WRONG_USAGE
from roadclear.cli.demo.command import demo
from roadclear.cli.evaluate import evaluate
from roadclear.cli.export import export
from roadclear.cli.info import info
from roadclear.cli.options import can_be_quiet
from roadclear.cli.pipeline import run
from roadclear.cli.predict import predict
from roadclear.cli.scenes import scenes
from roadclear.cli.show import show
from roadclear.cli.split import split
from roadclear.cli.streams import ends_with_one_line
from roadclear.cli.train import train
from roadclear.cli.triage import triage
from roadclear.cli.validate import validate
from roadclear.cli.watch import watch
from roadclear.errors import CacheWarning, OptionError, RoadclearError
from roadclear.utils.text import restore_slashes

_PURPOSE = "Is the road clear? Train, test and use a two-class photo classifier from two folders of photos."
app = typer.Typer(
    name="roadclear",
    help=_PURPOSE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
EXAMPLES = {
    "train": ("train photos/ --out runs/first", "train photos/ --unfreeze auto --min-recall 0.99"),
    "validate": ("validate photos/", "validate photos/ --head linear --repeats 10 --out tables/"),
    "predict": ("predict runs/first holiday/", "predict runs/first 'camera/*.jpg' --format csv > answers.csv"),
    "evaluate": ("evaluate runs/first other-photos/", "evaluate runs/first other-photos/ --gallery mistakes/"),
    "compare": ("compare runs/first runs/second other-photos/",),
    "triage": ("triage photos/ --out triage/", "triage photos/ --apply decisions.csv"),
    "clean": ("clean photos/ --html review.html", "clean photos/"),
    "split": ("split photos/ --out split.csv",),
    "collect": (
        "collect photos/ --contact me@example.org --per-label 200",
        "collect photos/ --labels dog cat --positive 'a dog' --negative 'a cat'",
    ),
    "watch": ("watch crossing.mp4 --zone '0.1,0.4 0.9,0.4 0.9,1 0.1,1'", "watch runs/mine rtsp://camera.example/1"),
    "export": ("export runs/first --to openvino-int8", "export runs/first --to web --out page/"),
    "demo": ("demo", "demo --photos photos/ --out mine/"),
}
"""Command lines that the help of a command ends with."""

SUMMARIES = {
    "demo": "Show every step in a minute.",
    "run": "Collect, clean, split, train and test in one command.",
    "collect": "Search the web for photos of both labels.",
    "clean": "Set aside files that spoil training.",
    "triage": "Find labels that are probably wrong.",
    "scenes": "Draw street scenes for a first try and for tests.",
    "split": "Split photos into train, validation and test.",
    "train": "Train a model on labelled photos, and test it.",
    "validate": "Measure a training by cross-validation.",
    "evaluate": "Measure a model on other labelled photos.",
    "compare": "Find out which of two models is better.",
    "predict": "Predict the label of every photo.",
    "show": "Draw photos with their predictions.",
    "watch": "Find events in a video, or with a camera.",
    "export": "Export a model, and check what was exported.",
    "info": "Show what is in a model file.",
}
"""Command -> what it does, in at most 57 characters: longer lines are cut in the list of commands."""


_CACHED = "What was computed from photos stays in the cache"
_AGAIN = "run the same command again"
KEPT = {
    "train": f"No run was written. {_CACHED}, and fine-tuning goes on after its last whole epoch: {_AGAIN}.",
    "validate": f"No table was written. {_CACHED}, and finished fine-tuned folds are kept: {_AGAIN}.",
    "predict": "Heatmaps and rows of --format csv or jsonl that were written are whole. A table is "
    "printed at the end only. To go on, name the photos that are left.",
    "evaluate": f"Nothing was written: {_AGAIN}.",
    "compare": f"Nothing was written: {_AGAIN}.",
    "show": f"Nothing was written: {_AGAIN}.",
    "split": f"No table was written. {_CACHED}: {_AGAIN}.",
    "clean": f"Photos that were moved are named in cleaning.csv: {_AGAIN}. To take the moves back, run roadclear clean "
    "PHOTOS --restore.",
    "triage": f"{_CACHED}. Moves of --apply are whole, or the next command takes them back: {_AGAIN}.",
    "run": f"Every finished step is kept: {_AGAIN}.",
    "watch": f"The tables and the page of what was watched are written: {_AGAIN} with another --out.",
    "export": f"Nothing was written: {_AGAIN}.",
    "scenes": f"The folder is incomplete. Delete it, and {_AGAIN}.",
}
"""Command -> what an interruption leaves, and how to go on. The other commands say so themselves."""


def _help(command: Callable[..., Any]) -> str:
    """The docstring of a command, with each paragraph on one line, so that paragraphs fill a terminal of any width."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _epilog(command: str) -> str | None:
    lines = EXAMPLES.get(command, ())
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\n\n".join([heading, *(f"roadclear {line}" for line in lines)]) if lines else None


for command in (
    demo,
    run,
    collect,
    clean,
    triage,
    scenes,
    split,
    train,
    validate,
    evaluate,
    compare,
    predict,
    show,
    watch,
    export,
    info,
):
    app.command(help=_help(command), short_help=SUMMARIES[command.__name__], epilog=_epilog(command.__name__))(
        can_be_quiet(command)
    )
app.add_typer(cache_app, name="cache")

_DEBUG = "--debug"


@app.callback()
def common(
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show a traceback when a command fails.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Options that stand before a command."""


@ends_with_one_line
def main() -> NoReturn:
    """Run the command line and exit."""
    if "--version" in sys.argv[1:2]:
        _print_version()
    warnings.showwarning = _print_warning
    _print_what_the_terminal_cannot_show_as_escapes()
    commands = typer.main.get_command(app)
    # The list of commands and wrong options are printed plainly: boxes would take longer to load than to read.
    commands.rich_markup_mode = None  # type: ignore[attr-defined]
    try:
        commands()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _print_what_is_kept(sys.argv[1:])
        raise
    except RoadclearError as error:
        if _DEBUG in sys.argv[1:]:
            traceback.print_exc()
        else:
            print(f"roadclear: {restore_slashes(str(error))}", file=sys.stderr)
        sys.exit(WRONG_USAGE if isinstance(error, OptionError) else FAILED)
    sys.exit(0)


def _print_what_the_terminal_cannot_show_as_escapes() -> None:
    """Let no label or file name end a command where the terminal knows ASCII only."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")


def _print_what_is_kept(words: Sequence[str]) -> None:
    """Say after Ctrl-C what is kept, and how to go on."""
    command = next((word for word in words if not word.startswith("-")), "")
    if command in KEPT:
        print(f"\nroadclear: stopped. {KEPT[command]}", file=sys.stderr)


def _print_version() -> NoReturn:
    from importlib.metadata import version

    print(f"roadclear {version('roadclear')}")
    sys.exit(0)


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Print a warning on stderr: a warning of ours as one line, any other as Python does."""
    ours = issubclass(category, CacheWarning)
    text = (
        f"roadclear: warning: {message}\n"
        if ours
        else warnings.formatwarning(message, category, filename, lineno, line)
    )
    print(text, end="", file=file or sys.stderr)
