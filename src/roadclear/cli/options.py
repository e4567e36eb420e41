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


def blocks(value: str) -> int | str:
    """A number where it is one; what else may stand there is told by the training's options."""
    return int(value) if value.lstrip("-").isdecimal() else value


FinetuneViewsOption = Annotated[int, typer.Option(help="Augmented views that the unfrozen blocks learn from.")]
FinetuneEpochsOption = Annotated[int, typer.Option(help="Of the unfrozen blocks, at most that many.")]
FinetuneLearningRateOption = Annotated[float, typer.Option(help="Of the unfrozen blocks.")]
DeviceOption = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="That PyTorch computes on.")]
