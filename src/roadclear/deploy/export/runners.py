"""Runners: predict one photo by an exported model, and say how long the model took."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from roadclear.features.engine import open_engine
from roadclear.images.decode import read_photo

OUTPUTS = ("probability", "logit", "heatmap", "offset", "distance", "unsure", "unfamiliar")
"""Outputs that every export has. Only the embedding may be missing."""


@dataclass(frozen=True)
class Answer:
    """What a model computes for one photo.

    Attributes:
        probability: probability of the positive class, 0 to 1.
        logit: log-odds of the positive class.
        residual: |logit - (heatmap.sum() + offset)|, by which the map does not add up.
        unsure: whether the probability is in the unsure band.
        unfamiliar: whether the distance is beyond the limit.
        seconds: time that the model took, without reading the photo.
    """

    probability: float
    logit: float
    residual: float
    unsure: bool
    unfamiliar: bool
    seconds: float


class Runner(Protocol):
    """An exported model that is ready to run."""

    def answer(self, photo: Path) -> Answer:
        """Predict a photo.

        Args:
            photo: path of the photo.

        Raises:
            PhotoError: the photo cannot be used.
            EngineError: the exported model cannot be run.
        """
        ...

    def close(self) -> None:
        """End what was started for the runner."""
        ...


class EngineRunner:
    """A graph in an inference engine, on one thread.

    Args:
        graph: content of a model file, or the path of one.
        size: side of the square input, in pixels.
        engine: "openvino" or "onnxruntime".
    """

    def __init__(self, graph: bytes | Path, size: int, engine: str = "openvino") -> None:
        self._engine = open_engine(graph, OUTPUTS, engine)
        self._size = size

    def answer(self, photo: Path) -> Answer:
        """Predict a photo."""
        pixels = read_photo(photo, self._size)
        started = time.perf_counter()
        outputs = self._engine.infer(pixels)
        return answer_of(outputs, time.perf_counter() - started)

    def close(self) -> None:
        """Nothing was started."""


def answer_of(outputs: Mapping[str, NDArray[Any]], seconds: float) -> Answer:
    """Take an answer from the outputs of a graph for one photo."""
    logit, heatmap = float(outputs["logit"]), outputs["heatmap"].astype("float64")
    return Answer(
        probability=float(outputs["probability"]),
        logit=logit,
        residual=abs(logit - float(heatmap.sum()) - float(outputs["offset"])),
        unsure=bool(outputs["unsure"]),
        unfamiliar=bool(outputs["unfamiliar"]),
        seconds=seconds,
    )
