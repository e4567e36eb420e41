"""Translation to LiteRT: the interpreter gives what model.onnx gives, for every output, head, padding and size."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from heads import drawn_familiarity, drawn_head, drawn_model
from numpy.typing import NDArray

from roadclear.deploy.export.litert.flatbuffer import schema
from roadclear.deploy.export.litert.translate import NOTES, translate
from roadclear.errors import EngineError
from roadclear.features.backbone.mobilenetv2 import tensor_shape, trunk_output
from roadclear.features.backbone.sources import Padding
from roadclear.features.backbone.weights import load_weights
from roadclear.features.engine import open_engine
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model

interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs LiteRT: pip install 'roadclear[litert]'")

OUTPUTS = ("probability", "logit", "embedding", "heatmap", "offset", "distance", "unsure", "unfamiliar")


def other_model(kind: str, padding: Padding, size: int, tensor: str) -> bytes:
    """A model with a padding of its own, whose distance is that of a tensor of the network."""
    facts = Model(drawn_model(kind, band=(0.1, 0.9))).facts
    weights = replace(load_weights("imagenet"), padding=padding)
    channels = tensor_shape(tensor, size)[0]
    familiarity = drawn_familiarity()
    references = familiarity.references[:, :channels].astype(np.float32)
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    familiarity = replace(familiarity, references=references.astype(np.float16), tensor=tensor)
    return build_model_file(weights, drawn_head(kind), familiarity, replace(facts, size=size))


def photos(size: int, count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def ran(file: bytes, photo: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    answers: dict[str, NDArray[Any]] = interpreter.Interpreter(model_content=file).get_signature_runner()(photo=photo)
    return answers


@pytest.mark.parametrize(
    ("kind", "padding", "size", "tensor"),
    [
        ("dense", "symmetric", 96, "embedding"),
        ("linear", "same_upper", 96, "embedding"),
        ("dense", "same_upper", 64, trunk_output(4)),
        ("linear", "symmetric", 128, trunk_output(4)),
    ],
)
def test_every_output_is_that_of_the_model(kind: str, padding: Padding, size: int, tensor: str) -> None:
    data = other_model(kind, padding, size, tensor)
    found = ran(translate(data, Model(data).facts), photos(size))
    engine = open_engine(data, OUTPUTS)
    assert set(found) == set(OUTPUTS)
    for k, photo in enumerate(photos(size)):
        expected = engine.infer(photo)
        for name in OUTPUTS:
            assert found[name].dtype == (bool if name in ("unsure", "unfamiliar") else np.float32)
            assert found[name][k].shape == np.shape(expected[name]), name
            np.testing.assert_allclose(found[name][k], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("weights", "share", "largest"), [("float16", 0.55, 0.05), ("int8", 0.32, 2.0)])
def test_smaller_weights_change_little_and_the_map_still_adds_up(weights: str, share: float, largest: float) -> None:
    data = drawn_model()
    facts = Model(data).facts
    file = translate(data, facts, weights)
    assert len(file) < share * len(data)
    found, engine = ran(file, photos(96)), open_engine(data, ("logit",))
    logits = [float(engine.infer(photo)["logit"]) for photo in photos(96)]
    assert 0 < np.abs(found["logit"] - logits).max() < largest
    np.testing.assert_allclose(found["heatmap"].sum((1, 2)) + found["offset"], found["logit"], atol=1e-4)


def test_contents_are_aligned_and_the_file_knows_its_labels() -> None:
    data = drawn_model(threshold=0.3)
    facts = Model(data).facts
    file = translate(data, facts)
    assert file[4:8] == b"TFL3"
    model = schema().Model.GetRootAs(file)
    contents = [model.Buffers(k) for k in range(model.BuffersLength())]
    whole = np.frombuffer(file, np.uint8).__array_interface__["data"][0]
    starts = [one.DataAsNumpy().__array_interface__["data"][0] - whole for one in contents if one.DataLength()]
    assert len(starts) > 100 and not any(start % 16 for start in starts)
    notes = {model.Metadata(k).Name(): model.Metadata(k).Buffer() for k in range(model.MetadataLength())}
    said = json.loads(bytes(contents[notes[NOTES.encode()]].DataAsNumpy()))
    assert said == {"positive": "crossing", "negative": "empty", "threshold": 0.3, "size": 96}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda graph: setattr(graph.node[-1], "op_type", "Less"), "found Less"),
        (lambda graph: _set(graph, "relu6/max", 7.0), "limits of 0 and 6"),
    ],
)
def test_a_graph_that_is_not_known_is_refused(change: Any, words: str) -> None:
    model = onnx.ModelProto.FromString(drawn_model("linear"))
    facts = Model(drawn_model("linear")).facts
    change(model.graph)
    with pytest.raises(EngineError, match=words):
        translate(model.SerializeToString(), facts)


def _set(graph: onnx.GraphProto, name: str, value: float) -> None:
    (tensor,) = (one for one in graph.initializer if one.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))
