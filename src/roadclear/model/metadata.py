"""Facts about a model, stored in the metadata of its file.

A model file may come from a stranger. So every value is checked when it is read, and again when it is written.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadclear.errors import ModelFileError
from roadclear.features.settings import MAX_SIZE
from roadclear.model.content_filter import ContentFilter
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.promise import Promise
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.settings import HEADS
from roadclear.utils.kept import keep, kept_path, read_kept

FORMAT_VERSION = 2
CHECK_VERSION = 2
"""Increased whenever a check of facts or graphs becomes stricter: models are then checked again."""

_KEY = "roadclear."
_FILTER = "trained_on"
_VALIDATION = "validation"
_EVIDENCE = "evidence"
_PROMISE = "promise"
_LONGEST_LABEL = 255
_LONGEST_TEXT = 1_000
_LONGEST_TRAINING = 1_000_000
_DEEPEST_TRAINING = 8
_ROUNDING = 1e-3


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
        trained_on: filter of the training and validation photos; None for a file that does not say which they were.
        validation: probabilities that set the band; None for a file that does not hold them.
        promise: promise about answered photos; None for a band that promises a coverage, or nothing.
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
    trained_on: ContentFilter | None = None
    validation: ValidationScores | None = None
    promise: Promise | None = None


def read_facts(data: bytes) -> ModelFacts:
    """Read the facts in a serialized model, and check facts and graph.

    Raises:
        ModelFileError: the bytes are not an ONNX model, not a roadclear model, damaged, or of another format. Or a
            fact is impossible. Or the graph is refused; see `roadclear.model.graph_check.check_graph`.
    """
    return _checked(data)[0]


def read_kept_facts(data: bytes, sha256: str) -> ModelFacts:
    """`read_facts`. Facts of a model that passed the check are kept in the cache folder, and not checked again.

    Args:
        data: serialized model.
        sha256: SHA-256 of the serialized model, in hex.

    Raises:
        ModelFileError: see `read_facts`.
    """
    place = kept_path("facts", str(FORMAT_VERSION), str(CHECK_VERSION), sha256)
    content = read_kept(place)
    if content is not None:
        return _from_metadata(json.loads(content))
    facts, metadata = _checked(data)
    keep(place, json.dumps(metadata).encode())
    return facts


def _checked(data: bytes) -> tuple[ModelFacts, dict[str, str]]:
    """Read and check the facts: the facts, and the metadata entries that they were read from."""
    import onnx
    from google.protobuf.message import DecodeError

    from roadclear.model.graph_check import check_graph

    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelFileError("expected an ONNX model, found something else: give a model.onnx or a run") from error
    entries = {entry.key: entry.value for entry in model.metadata_props}
    # The library gives bytes where a text is not UTF-8.
    if not all(isinstance(text, str) for text in (*entries, *entries.values())):
        raise ModelFileError("the model's metadata is damaged (a text is not UTF-8): train it again")
    metadata = {key.removeprefix(_KEY): value for key, value in entries.items()}
    _check_version(metadata.get("format_version", ""))
    try:
        facts = _from_metadata(metadata)
        _check_facts(facts)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the model's metadata is damaged ({_reason(error)}): train it again") from error
    check_graph(model, facts.size)
    return facts, metadata


def _check_version(version: str) -> None:
    if not (version.isdecimal() and version.isascii() and len(version) < 10):
        raise ModelFileError("this ONNX model was not made by roadclear: give the model.onnx of a run")
    if int(version) != FORMAT_VERSION:
        what = "update roadclear" if int(version) > FORMAT_VERSION else "train it again"
        raise ModelFileError(f"expected a model of format {FORMAT_VERSION}, found format {version}: {what}")


def _reason(error: Exception) -> str:
    """Say on one short line what is wrong, without characters that cannot be printed."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    text = "JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _from_metadata(metadata: Mapping[str, str]) -> ModelFacts:
    positive = metadata["positive"]
    (negative,) = (label for label in _parse(metadata["labels"], "labels") if label != positive)
    known, validation, promise = (metadata.get(name) for name in (_FILTER, _VALIDATION, _PROMISE))
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
        training=_parse(metadata["training"], "training"),
        trained_on=None if known is None else ContentFilter.from_json(known),
        validation=None if validation is None else ValidationScores.from_json(validation, metadata.get(_EVIDENCE)),
        promise=None if promise is None else Promise.from_json(promise),
    )


def _parse(text: str, name: str) -> Any:
    """Parse JSON of bounded size, without NaN and infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{name} has {constant}")

    if len(text) > _LONGEST_TRAINING:
        raise ValueError(f"{name} has {len(text):,} characters, at most {_LONGEST_TRAINING:,} are read")
    return json.loads(text, parse_constant=refuse)


def _check_facts(facts: ModelFacts) -> None:
    """Refuse impossible facts.

    Raises:
        ValueError: a fact is impossible.
    """
    for name, text, longest in (
        ("positive", facts.positive, _LONGEST_LABEL),
        ("negative", facts.negative, _LONGEST_LABEL),
        ("aim", facts.aim, _LONGEST_TEXT),
        ("weights_name", facts.weights_name, _LONGEST_TEXT),
        ("weights_origin", facts.weights_origin, _LONGEST_TEXT),
    ):
        if not isinstance(text, str) or not 1 <= len(text) <= longest or not text.isprintable():
            raise ValueError(f"{name} is not a printable text of 1 to {longest:,} characters")
    band = facts.band
    for name, number, low, high in (
        ("threshold", facts.threshold, 0.0, 1.0),
        ("unsure_low", band.low, 0.0, 1.0),
        ("unsure_high", band.high, band.low, 1.0),
        ("coverage", band.coverage, 0.0, 1.0),
        ("distance_limit", facts.distance_limit, -_ROUNDING, 2 + _ROUNDING),
        ("temperature", facts.temperature, math.ulp(0.0), math.inf),
        ("size", facts.size, 32, MAX_SIZE),
    ):
        if not (math.isfinite(number) and low <= number <= high):
            raise ValueError(f"{name} is {number}, expected {low:g} to {high:g}")
    if band.low < band.high and not band.low <= facts.threshold <= band.high:
        raise ValueError("the threshold lies outside the unsure band")
    if facts.head not in HEADS or facts.size % 32:
        raise ValueError("the head or the size is none of roadclear's")
    if not re.fullmatch("[0-9a-f]{64}", facts.weights_sha256):
        raise ValueError("weights_sha256 is not a SHA-256 in hex")
    _check_training(facts.training)


def _check_training(training: Mapping[str, Any]) -> None:
    """Refuse a summary that is not of the form that `roadclear info` shows.

    Raises:
        ValueError: the summary has another form, or is nested too deeply.
    """
    if not isinstance(training, Mapping) or not _is_shallow(training, _DEEPEST_TRAINING):
        raise ValueError("training is not a flat summary")
    for name, form in (("photos", int), ("accuracy", Mapping), ("options", object)):
        part = training.get(name, {})
        if not isinstance(part, Mapping) or not all(isinstance(value, form) for value in part.values()):
            raise ValueError(f"training has {name} of another form")
    for name in ("card", "roadclear"):
        if not isinstance(training.get(name, ""), str):
            raise ValueError(f"training has {name} of another form")
    for estimate in training.get("accuracy", {}).values():
        ends = estimate.get("ci95")
        numbers = [estimate.get("value"), estimate.get("n"), *(ends if isinstance(ends, list | tuple) else ())]
        if len(numbers) != 4 or not all(isinstance(number, int | float) for number in numbers):
            raise ValueError("training has accuracy of another form")


def _is_shallow(value: Any, levels: int) -> bool:
    """Whether plain values are nested in at most so many levels."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        return True
    return levels > 0 and all(_is_shallow(inner, levels - 1) for inner in value)


def to_metadata(facts: ModelFacts) -> dict[str, str]:
    """Convert facts to the metadata entries of a model file.

    Raises:
        ValueError: a fact is impossible, and could not be read again. That is a bug.
    """
    _check_facts(facts)
    optional = {_FILTER: facts.trained_on, _VALIDATION: facts.validation, _PROMISE: facts.promise}
    evidence = {} if facts.validation is None else {f"{_KEY}{_EVIDENCE}": facts.validation.evidence()}
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
        **{f"{_KEY}{name}": value.to_json() for name, value in optional.items() if value is not None},
        **evidence,
    }
