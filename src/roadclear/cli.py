"""The command line: one thin function a command, which parses, calls and renders.

Results go to stdout, everything else to stderr. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but some
inputs could not be read (they are listed). Whatever takes long to import is imported by the command that needs it.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roadclear.errors import OptionError, RoadclearError
from roadclear.options import TrainingOptions

if TYPE_CHECKING:
    from roadclear.model import Model

FAILED, WRONG_USAGE, SOME_UNREADABLE = 1, 2, 3

app = typer.Typer(
    name="roadclear",
    help="Is the road clear? Train, test and use a two-class photo classifier, from two folders of photos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(help="Look at or delete the cache of image features.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

DEFAULTS = TrainingOptions()


class EngineName(str, Enum):
    """Inference engines."""

    openvino = "openvino"
    onnxruntime = "onnxruntime"


class Format(str, Enum):
    """How predictions are printed."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


RunArgument = Annotated[Path, typer.Argument(help="A run folder, or a model.onnx.", show_default=False)]
EngineOption = Annotated[EngineName, typer.Option(help="Inference engine.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]


@app.callback()
def common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    """Keep what applies to every command."""
    context.obj = {"debug": debug}
