"""What is read of a model file gives the same file again, and a file without the right layers is refused."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from heads import KINDS, drawn_head, drawn_model
from onnx import numpy_helper

from roadclear.errors import ModelFileError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING, tensor_shape, trunk_output
from roadclear.features.backbone.sources import SOURCES
from roadclear.features.backbone.weights import load_weights
from roadclear.model.decision.ood import OodReference
from roadclear.model.heads import DenseHead, LinearHead
from roadclear.model.metadata import read_facts
from roadclear.model.onnx_file import build_model_file
from roadclear.model.onnx_parts import ModelParts, read_parts


def parts_of(model: bytes) -> ModelParts:
    return read_parts(model, hashlib.sha256(model).hexdigest(), read_facts(model))


def references(tensor: str, channels: int) -> OodReference:
    vectors = np.random.default_rng(0).exponential(1, (20, channels))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return OodReference(vectors.astype(np.float16), 10, 0.5, tensor)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["imagenet", "keras"])
@pytest.mark.parametrize("tensor", [EMBEDDING, trunk_output(11), trunk_output(17)])
def test_the_parts_give_the_same_file_again(kind: str, source: str, tensor: str) -> None:
    facts = read_facts(drawn_model(kind))
    row = SOURCES[source]
    weights = replace(load_weights(), preprocessing=row.preprocessing, padding=row.padding)
    ood = references(tensor, tensor_shape(tensor, 96)[0])
    model = build_model_file(weights, drawn_head(kind), ood, facts)
    parts = parts_of(model)
    assert parts.ood_tensor == tensor
    assert isinstance(parts.head, DenseHead if kind == "dense" else LinearHead)
    assert parts.weights.sha256 == hashlib.sha256(model).hexdigest()
    assert build_model_file(parts.weights, parts.head, ood, facts) == model


def test_an_origin_does_not_grow_with_every_training() -> None:
    facts, weights = read_facts(drawn_model()), load_weights()
    origin, seen = weights.origin, set()
    for _ in range(5):
        layers = "the last convolution and the last 4 of 17 inverted residuals"
        tuned = f"fine-tuned from {origin}, SHA-256 {'0' * 64}: {layers}"
        changed = replace(facts, weights_origin=tuned)
        model = build_model_file(weights, drawn_head("dense"), references(EMBEDDING, 1280), changed)
        origin = parts_of(model).weights.origin
        seen.add(origin)
    assert seen == {f"{weights.origin}, fine-tuned in earlier trainings"}


def test_the_origin_of_weights_that_were_never_tuned_stays() -> None:
    assert parts_of(drawn_model()).weights.origin == load_weights().origin


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("block_3/expand/kernel", lambda values: np.full_like(values, np.nan)),
        ("final/bias", lambda values: values[:-1]),
        ("hidden/kernel", lambda values: values.T.copy()),
        ("preprocessing/scale", lambda values: -values),
        ("output/bias", None),
    ],
)
def test_other_layers_are_refused(name: str, change: object) -> None:
    model = onnx.ModelProto.FromString(drawn_model())
    facts = read_facts(drawn_model())
    (tensor,) = (each for each in model.graph.initializer if each.name == name)
    if callable(change):
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
    else:
        tensor.name = "another"
    with pytest.raises(ModelFileError, match=rf"^expected the layers of a MobileNetV2 .*{name}.*: start from a run"):
        read_parts(model.SerializeToString(), "0" * 64, facts)
