"""The codec of the Open Inference Protocol: what is read, what is refused, and what comes back."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadclear.deploy.serve.answers import Answer
from roadclear.deploy.serve.protocol import OUTPUTS, ProtocolError, read_request, tensors, write_response
from roadclear.model.prediction import Explanation, Prediction

SIZE = 32
PIXELS = np.arange(2 * SIZE * SIZE * 3, dtype=np.uint8).reshape(2, SIZE, SIZE, 3)


def asked(tensor: dict[str, Any], **values: Any) -> bytes:
    return json.dumps({"inputs": [{"name": "photo", **tensor}], **values}).encode()


def binary(tensor: dict[str, Any], data: bytes, **values: Any) -> tuple[bytes, int]:
    head = asked({**tensor, "parameters": {"binary_data_size": len(data)}}, **values)
    return head + data, len(head)


def elements(*contents: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


@pytest.mark.parametrize("data", [PIXELS.tolist(), PIXELS.ravel().tolist()], ids=["nested", "flat"])
def test_pixels_are_read_from_json(data: list[Any]) -> None:
    found = read_request(asked({"datatype": "UINT8", "shape": [2, SIZE, SIZE, 3], "data": data}), None, SIZE)
    assert np.array_equal(np.stack(found.photos), PIXELS)
    assert found.id is None and set(found.outputs.values()) == {False} and found.explains


def test_pixels_are_read_from_binary_tensors() -> None:
    body, head = binary({"datatype": "UINT8", "shape": [2, SIZE, SIZE, 3]}, PIXELS.tobytes(), id="7")
    found = read_request(body, head, SIZE)
    assert np.array_equal(np.stack(found.photos), PIXELS)
    assert found.id == "7"


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.booleans())
def test_image_files_are_read_from_both_forms(contents: list[bytes], column: bool) -> None:
    shape = [len(contents), 1] if column else [len(contents)]
    body, head = binary({"datatype": "BYTES", "shape": shape}, elements(*contents))
    assert read_request(body, head, SIZE).photos == contents
    texts: list[Any] = [base64.b64encode(content).decode() for content in contents]
    data = [[text] for text in texts] if column else texts
    assert read_request(asked({"datatype": "BYTES", "shape": shape, "data": data}), None, SIZE).photos == contents


ONE = {"datatype": "BYTES", "shape": [1], "data": [""]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[" + b"[]," * 1_100_000, "too many values"),
        (b"[]", "an object of JSON"),
        (b"{}", "inputs with one tensor"),
        (json.dumps({"inputs": [ONE, ONE]}).encode(), "inputs with one tensor"),
        (json.dumps({"inputs": [ONE]}).encode(), "expected the input 'photo'"),
        (asked({**ONE, "shape": [0]}), "1 to 64 photos"),
        (asked({**ONE, "shape": [65]}), "1 to 64 photos"),
        (asked({**ONE, "shape": [True]}), "whole numbers"),
        (asked({**ONE, "shape": "1"}), "whole numbers"),
        (asked({**ONE, "shape": [1, 2]}), "BYTES tensor"),
        (asked({**ONE, "data": ["?"]}), "base64"),
        (asked({**ONE, "data": [1]}), "1 texts"),
        (asked({**ONE, "data": None}), "1 texts"),
        (asked({**ONE, "datatype": "FP32"}), "UINT8 (pixels) or BYTES"),
        (asked({"datatype": "UINT8", "shape": [1, 2, 2, 3], "data": [0] * 12}), "UINT8 tensor [N, 32, 32, 3]"),
        (asked({"datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [0]}), "whole numbers"),
        (asked({"datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [0.5] * 3072}), "whole numbers"),
        (asked({"datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [256] * 3072}), "from 0 to 255"),
        (asked({"datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [10**40] * 3072}), "whole numbers"),
        (asked({"datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [[0], [0, 1]]}), "numbers, flat or nested"),
        (asked(ONE, id=1), "a text as id"),
        (asked(ONE, parameters=[]), "an object as parameters"),
        (asked(ONE, outputs={}), "list of objects"),
        (asked(ONE, outputs=[{"name": "nothing"}]), "expected each output once"),
        (asked(ONE, outputs=[{"name": "label"}] * 2), "expected each output once"),
        (asked(ONE, outputs=[{"name": "label", "parameters": {"classification": 1}}]), "not offered"),
        (asked({**ONE, "parameters": {"binary_data_size": 3}}), "binary_data_size 0"),
    ],
)
def test_what_breaks_the_protocol_is_refused_in_a_sentence(body: bytes, message: str) -> None:
    with pytest.raises(ProtocolError) as error:
        read_request(body, None, SIZE)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("shape", "data", "cut"),
    [
        ([1], b"", 0),
        ([1], b"\x05\0\0\0abc", 0),
        ([1], elements(b"a", b"b"), 0),
        ([2], elements(b"a"), 0),
        ([1], elements(b"a") + b"\0", 0),
        ([1], b"\xff\xff\xff\xff", 0),
        ([1], elements(b"abc"), 2),
    ],
)
def test_damaged_binary_tensors_are_refused(shape: list[int], data: bytes, cut: int) -> None:
    body, head = binary({"datatype": "BYTES", "shape": shape}, data)
    with pytest.raises(ProtocolError):
        read_request(body[: len(body) - cut], head, SIZE)
    for wrong in (len(body) + 1, -1):
        with pytest.raises(ProtocolError, match="Inference-Header-Content-Length"):
            read_request(body, wrong, SIZE)


@given(st.binary(max_size=300), st.none() | st.integers(0, 400))
def test_noise_is_refused(body: bytes, head: int | None) -> None:
    with pytest.raises(ProtocolError):
        read_request(body, head, SIZE)


def answer(probability: float) -> Answer:
    prediction = Prediction(None, "crossing", probability, False, 0.25, True)
    return Answer(prediction, Explanation(prediction, 1.5, np.full((1, 1), 0.5, np.float32), 1.0))


def test_a_response_has_what_was_asked_for_in_the_form_that_was_asked_for() -> None:
    wanted = [{"name": "probability"}, {"name": "label", "parameters": {"binary_data": True}}]
    request = read_request(asked(ONE, outputs=wanted, id="x"), None, SIZE)
    assert not request.explains
    model = {"model_name": "m", "model_version": "1"}
    body, head = write_response(request, [answer(0.75)], model, SIZE)
    values = json.loads(body[:head])
    assert values["id"] == "x" and values["model_name"] == "m"
    assert values["outputs"][0] == {"name": "probability", "datatype": "FP32", "shape": [1], "data": [0.75]}
    assert values["outputs"][1]["parameters"] == {"binary_data_size": 12}
    assert body[head:] == elements(b"crossing")


def test_all_outputs_have_the_shapes_of_the_metadata() -> None:
    request = read_request(asked(ONE, parameters={"binary_data_output": True}), None, SIZE)
    body, head = write_response(request, [answer(0.75), answer(0.5)], {}, SIZE)
    described = {tensor["name"]: tensor for tensor in tensors(SIZE)["outputs"]}
    assert set(described) == set(OUTPUTS)
    place = head or 0
    for output in json.loads(body[:head])["outputs"]:
        wanted = described[output["name"]]
        assert output["datatype"] == wanted["datatype"] and output["shape"][1:] == wanted["shape"][1:]
        size = output["parameters"]["binary_data_size"]
        if output["datatype"] != "BYTES":
            assert size == np.prod(output["shape"]) * (4 if output["datatype"] == "FP32" else 1)
        place += size
    assert place == len(body)
