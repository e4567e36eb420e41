"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, a model.onnx, or 'stock'.", show_default=False)
]
EngineOption = Annotated[str, typer.Option(metavar="openvino|onnxruntime", help="Inference engine.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]
GroupByOption = Annotated[
    str | None, typer.Option(metavar="REGEX", help="Keep photos together in whose names this finds the same text.")
]
GroupByPageOption = Annotated[bool, typer.Option("--group-by-page", help="Keep photos from one page together.")]
GroupByAuthorOption = Annotated[bool, typer.Option("--group-by-author", help="Keep photos by one author together.")]
