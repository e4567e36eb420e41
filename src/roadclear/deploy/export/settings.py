"""Options of `export`. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.utils.settings import Setting, Settings

FORMATS = ("openvino", "openvino-int8", "litert", "litert-f16", "litert-int8", "model-repository", "web")


@dataclass(kw_only=True)
class ExportSettings(Settings):
    """What is exported, and how much worse the exported model may be."""

    panel: ClassVar[str] = "Output"

    max_drop: Annotated[
        float,
        Setting(
            "Largest drop of the accuracy, in points. An export is refused if the whole 95% interval of its drop lies "
            "above.",
            ge=0,
            le=100,
        ),
    ] = 1.0
    calibration: Annotated[
        int, Setting("Largest number of photos that set the ranges of openvino-int8.", ge=10, le=5000)
    ] = 300
    name: Annotated[str, Setting("Name under which a server offers the model of model-repository.", metavar="NAME")] = (
        "roadclear"
    )
