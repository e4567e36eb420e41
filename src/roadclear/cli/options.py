"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a model.onnx.", show_default=False)]
EngineOption = Annotated[str, typer.Option(metavar="openvino|onnxruntime", help="Inference engine.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]
