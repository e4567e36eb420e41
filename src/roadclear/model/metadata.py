"""What a model file says of itself, in its metadata."""

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
    """What a model file says of itself, in its metadata.

    Attributes:
        positive: the label whose probability is given.
        negative: the other label.
        threshold: photos with at least this probability are called positive.
        aim: what the threshold is for, in words.
        temperature: that the head's logits were divided by to calibrate them; it is part of the head.
        band: probabilities that are answered with "unsure".
        distance_limit: photos further from the training photos are unfamiliar.
        size: side of the input square, in pixels.
        head: "dense" or "linear".
        weights_name: the backbone's weights source.
        weights_sha256: of the weights file.
        weights_origin: where the weights come from, and their licence.
        training: a summary of the training: counts, options, metrics; plain JSON.
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
    """The facts in a serialized model.

    Raises:
        ModelFileError: it is no ONNX model, not one of ours, damaged, or of another format.
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
    """The facts as a model file holds them."""
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
