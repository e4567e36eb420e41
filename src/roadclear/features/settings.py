"""Options of `features`: the base network and the engine. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.features.precision import AUTO, BF16, F32, MIXED
from roadclear.utils.settings import Setting, Settings

ENGINES = ("openvino", "onnxruntime")
PRECISIONS = (F32, BF16)
MAX_SIZE = 2048
"""Largest side of a network's input, in pixels. Larger model files are refused."""
DEFAULT_SIZE = 224
"""Side of the input without another wish, in pixels."""


@dataclass(kw_only=True)
class EngineSettings(Settings):
    """What computes the base network."""

    panel: ClassVar[str] = "Engine"

    engine: Annotated[str, Setting("Inference engine that runs the base network.", choices=ENGINES)] = "openvino"
    precision: Annotated[
        str,
        Setting(
            "Precision of the base network. mixed computes augmented views in bf16, and all that is measured in f32. "
            "auto is mixed on processors with bfloat16 instructions, else f32.",
            choices=(AUTO, F32, MIXED, BF16),
        ),
    ] = AUTO


@dataclass(kw_only=True)
class FeatureSettings(Settings):
    """The base network, and the size of the photos that it sees."""

    panel: ClassVar[str] = "Engine"

    size: Annotated[
        int | None,
        Setting(
            "Side of the square input image, in pixels. Without a number it is 224, or that of the model in --weights.",
            ge=32,
            le=MAX_SIZE,
            multiple_of=32,
        ),
    ] = None
    weights: Annotated[
        str,
        Setting(
            "Weights of the base network: imagenet, keras, torchvision-v1 or torchvision-v2. Or an earlier model to "
            "start from: stock, a run folder or a model.onnx. PATH@sha256:DIGEST takes this very model.",
        ),
    ] = "imagenet"
    weights_file: Annotated[str | None, Setting("Path of a local copy of the weights file.")] = None
    download_weights: Annotated[bool, Setting("Download the weights file where it is missing.")] = False
