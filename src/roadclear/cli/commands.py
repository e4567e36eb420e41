"""The commands of the command line, with the examples in their help."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from roadclear.cli.cache import cache_app
from roadclear.cli.clean import clean
from roadclear.cli.collect import collect
from roadclear.cli.compare import compare
from roadclear.cli.demo.command import demo
from roadclear.cli.evaluate import evaluate
from roadclear.cli.export import export
from roadclear.cli.extract import extract
from roadclear.cli.info import info
from roadclear.cli.options import can_be_quiet
from roadclear.cli.pipeline import run
from roadclear.cli.predict import predict
from roadclear.cli.scenes import scenes
from roadclear.cli.serve import serve
from roadclear.cli.show import show
from roadclear.cli.split import split
from roadclear.cli.studio.command import studio
from roadclear.cli.train import train
from roadclear.cli.triage import triage
from roadclear.cli.validate import validate
from roadclear.cli.watch import watch

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
    "triage": (
        "triage photos/ --out triage/",
        "triage photos/ --apply decisions.csv",
        "triage photos/ --unlabelled new/ --at-most 20",
        "triage --model stock --unlabelled new/",
    ),
    "clean": ("clean photos/ --html review.html", "clean photos/"),
    "split": ("split photos/ --out split.csv",),
    "collect": (
        "collect photos/ --contact me@example.org --per-label 200",
        "collect photos/ --labels dog cat --positive 'a dog' --negative 'a cat'",
    ),
    "watch": ("watch crossing.mp4 --zone '0.1,0.4 0.9,0.4 0.9,1 0.1,1'", "watch runs/mine rtsp://camera.example/1"),
    "extract": (
        "extract photos/ --to features/",
        "extract 's3://bucket/shards/{0000..0999}.tar' --to s3://bucket/features/ --on ray",
    ),
    "export": ("export runs/first --to openvino-int8", "export runs/first --to web --out page/"),
    "serve": ("serve runs/first", "serve runs/first --port 8080 --runtime node_modules/onnxruntime-web"),
    "studio": ("studio", "studio photos/"),
    "demo": ("demo", "demo --photos photos/ --out mine/"),
}
"""Command lines that the help of a command ends with."""

SUMMARIES = {
    "demo": "Show every step in a minute.",
    "studio": "Label, train, understand and try, in one local page.",
    "run": "Collect, clean, split, train and test in one command.",
    "collect": "Search the web for photos of both labels.",
    "clean": "Set aside files that spoil training.",
    "triage": "Find wrong labels, and photos to label next.",
    "scenes": "Draw street scenes for a first try and for tests.",
    "split": "Split photos into train, validation and test.",
    "train": "Train a model on labelled photos, and test it.",
    "validate": "Measure a training by cross-validation.",
    "evaluate": "Measure a model on other labelled photos.",
    "compare": "Find out which of two models is better.",
    "predict": "Predict the label of every photo.",
    "show": "Draw photos with their predictions.",
    "watch": "Find events in a video, or with a camera.",
    "extract": "Compute features of photos as Parquet files.",
    "export": "Export a model, and check what was exported.",
    "serve": "Answer photos over HTTP, with a page for browsers.",
    "info": "Show what is in a model file.",
}
"""Command -> what it does, in at most 57 characters: longer lines are cut in the list of commands."""


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
    studio,
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
    extract,
    export,
    serve,
    info,
):
    app.command(help=_help(command), short_help=SUMMARIES[command.__name__], epilog=_epilog(command.__name__))(
        can_be_quiet(command)
    )
app.add_typer(cache_app, name="cache")


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when a command fails.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Options that stand before a command."""
