"""Facts about a model, stored in the metadata of its file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadclear.errors import ModelFileError
from roadclear.model.decision.conformal import UnsureBand

FORMAT_VERSION = 2
_KEY = "roadclear."


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model.

    Attributes:
        positive: positive label, whose probability the model gives.
        negative: negative label.
        threshold: least probability of a positive prediction.
        aim: aim of the threshold, in words.
        temperature: temperature of the calibration. The head's weights already include the division.
        band: probabilities with the answer "unsure".
        distance_limit: largest distance of a familiar photo to the training photos.
        size: side of the square input, in pixels.
        head: "dense" or "linear".
        weights_name: name of the backbone's weights source.
        weights_sha256: SHA-256 of the weights file, in hex.
        weights_origin: origin and licence of the weights.
        training: summary of the training as plain JSON: counts, options, metrics.
    """

    positive: str
    negative: str
    threshold: float
    aim: str
    temperature: float
    band: UnsureBand
    distance_limit: float
    size: int
    head: str
    weights_name: str
    weights_sha256: str
    weights_origin: str
    training: Mapping[str, Any]


def read_facts(data: bytes) -> ModelFacts:
    """Read the facts in a serialized model.

    Raises:
        ModelFileError: the bytes are not an ONNX model, not a roadclear model, damaged, or of another format.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelFileError("expected an ONNX model, found something else: give a model.onnx or a run") from error
    metadata = {entry.key.removeprefix(_KEY): entry.value for entry in model.metadata_props}
    version = metadata.get("format_version", "")
    if not version.isdecimal():
        raise ModelFileError("this ONNX model was not made by roadclear: give the model.onnx of a run")
    if int(version) != FORMAT_VERSION:
        what = "update roadclear" if int(version) > FORMAT_VERSION else "train it again"
        raise ModelFileError(f"expected a model of format {FORMAT_VERSION}, found format {version}: {what}")
    try:
        return _from_metadata(metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the model's metadata is damaged ({error}): train it again") from error


def _from_metadata(metadata: Mapping[str, str]) -> ModelFacts:
    positive = metadata["positive"]
    (negative,) = (label for label in json.loads(metadata["labels"]) if label != positive)
    return ModelFacts(
        positive=positive,
        negative=negative,
        threshold=float(metadata["threshold"]),
        aim=metadata["aim"],
        temperature=float(metadata["temperature"]),
        band=UnsureBand(*(float(metadata[key]) for key in ("unsure_low", "unsure_high", "coverage"))),
        distance_limit=float(metadata["distance_limit"]),
        size=int(metadata["size"]),
        head=metadata["head"],
        weights_name=metadata["weights_name"],
        weights_sha256=metadata["weights_sha256"],
        weights_origin=metadata["weights_origin"],
        training=json.loads(metadata["training"]),
    )


def to_metadata(facts: ModelFacts) -> dict[str, str]:
    """Convert facts to the metadata entries of a model file."""
    return {
        f"{_KEY}format_version": str(FORMAT_VERSION),
        f"{_KEY}labels": json.dumps([facts.negative, facts.positive]),
        f"{_KEY}positive": facts.positive,
        f"{_KEY}threshold": repr(facts.threshold),
        f"{_KEY}aim": facts.aim,
        f"{_KEY}temperature": repr(facts.temperature),
        f"{_KEY}unsure_low": repr(facts.band.low),
        f"{_KEY}unsure_high": repr(facts.band.high),
        f"{_KEY}coverage": repr(facts.band.coverage),
        f"{_KEY}distance_limit": repr(facts.distance_limit),
        f"{_KEY}size": str(facts.size),
        f"{_KEY}head": facts.head,
        f"{_KEY}weights_name": facts.weights_name,
        f"{_KEY}weights_sha256": facts.weights_sha256,
        f"{_KEY}weights_origin": facts.weights_origin,
        f"{_KEY}training": json.dumps(facts.training),
    }
