"""The application: commands, examples in the help, and how errors end the program."""

import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from roadclear.cli.cache import cache_app
from roadclear.cli.clean import clean
from roadclear.cli.collect import collect
from roadclear.cli.compare import compare
from roadclear.cli.console import FAILED, WRONG_USAGE
from roadclear.cli.demo.command import demo
from roadclear.cli.evaluate import evaluate
from roadclear.cli.info import info
from roadclear.cli.pipeline import run
from roadclear.cli.predict import predict
from roadclear.cli.scenes import scenes
from roadclear.cli.show import show
from roadclear.cli.split import split
from roadclear.cli.train import train
from roadclear.cli.triage import triage
from roadclear.cli.validate import validate
from roadclear.errors import OptionError, RoadclearError

_PURPOSE = "Is the road clear? Train, test and use a two-class photo classifier from two folders of photos."
app = typer.Typer(
    name="roadclear",
    help=_PURPOSE,
    no_args_is_help=True,
    add_completion=False,
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
    "demo": ("demo", "demo --photos photos/ --out mine/"),
}
"""Command lines that the help of a command ends with."""


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
    info,
):
    app.command(help=_help(command), epilog=_epilog(command.__name__))(command)
app.add_typer(cache_app, name="cache")

_DEBUG = "--debug"


@app.callback()
def common(
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show a traceback when a command fails.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Options that stand before a command."""


def main() -> NoReturn:
    """Run the command line and exit."""
    if "--version" in sys.argv[1:2]:
        _print_version()
    try:
        app()
    except RoadclearError as error:
        if _DEBUG in sys.argv[1:]:
            traceback.print_exc()
        else:
            print(f"roadclear: {error}", file=sys.stderr)
        sys.exit(WRONG_USAGE if isinstance(error, OptionError) else FAILED)
    sys.exit(0)


def _print_version() -> NoReturn:
    from importlib.metadata import version

    print(f"roadclear {version('roadclear')}")
    sys.exit(0)
