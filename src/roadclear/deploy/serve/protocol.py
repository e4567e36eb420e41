"""Codec of the Open Inference Protocol (KServe V2), REST, with the extension for binary tensors.

Sources: "Open Inference Protocol" of KServe, and "Binary Tensor Data Extension" of the NVIDIA Triton Inference Server.
Tensors have the names and types that a model repository of `export` has, and `label` and `answer` beside them.
"""

import base64
import binascii
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadclear.deploy.serve.answers import Answer, SentPhoto
from roadclear.deploy.serve.settings import MAX_PHOTOS

INPUT = "photo"
TOTAL_STRIDE = 32
HEADER = "Inference-Header-Content-Length"
"""Header with the number of bytes of JSON before binary tensors."""

MAX_VALUES = 1_000_000
"""Largest number of values in JSON beside one photo. Larger tensors are sent in binary form."""

_LENGTH = struct.Struct("<I")


class ProtocolError(ValueError):
    """A request breaks the protocol, or asks for what is not there."""


@dataclass(frozen=True)
class Output:
    """Output tensor of the model: its datatype, its shape behind the number of photos, and where its value is."""

    datatype: str
    shape: Callable[[int], tuple[int, ...]]
    value: Callable[[Answer], Any]
    explains: bool = False


def _side(size: int) -> tuple[int, ...]:
    return (size // TOTAL_STRIDE, size // TOTAL_STRIDE)


def _scalar(size: int) -> tuple[int, ...]:
    return ()


OUTPUTS: Mapping[str, Output] = {
    "probability": Output("FP32", _scalar, lambda answer: answer.prediction.probability),
    "answer": Output("BYTES", _scalar, lambda answer: answer.prediction.answer),
    "label": Output("BYTES", _scalar, lambda answer: answer.prediction.label),
    "unsure": Output("BOOL", _scalar, lambda answer: answer.prediction.unsure),
    "unfamiliar": Output("BOOL", _scalar, lambda answer: answer.prediction.unfamiliar),
    "distance": Output("FP32", _scalar, lambda answer: answer.prediction.distance),
    "logit": Output("FP32", _scalar, lambda answer: _explained(answer).logit, explains=True),
    "heatmap": Output("FP32", _side, lambda answer: _explained(answer).heatmap, explains=True),
    "offset": Output("FP32", _scalar, lambda answer: _explained(answer).offset, explains=True),
}
"""Outputs by name. Those that explain take a second run of the model."""

_DTYPES = {"FP32": np.dtype("<f4"), "BOOL": np.dtype("?")}


def _explained(answer: Answer) -> Any:
    return answer.explanation


@dataclass(frozen=True)
class InferRequest:
    """Request for answers.

    Attributes:
        id: identifier that the answer repeats; None for none.
        photos: photos in their order.
        outputs: name of each requested output, and whether its values are sent in binary form.
    """

    id: str | None
    photos: list[SentPhoto]
    outputs: dict[str, bool]

    @property
    def explains(self) -> bool:
        """Whether an output needs an explanation."""
        return any(OUTPUTS[name].explains for name in self.outputs)


def tensors(size: int) -> dict[str, list[dict[str, Any]]]:
    """Describe inputs and outputs of a model for its metadata.

    Args:
        size: side of the square input, in pixels.
    """
    photo = {
        "name": INPUT,
        "datatype": "UINT8",
        "shape": [-1, size, size, 3],
        "parameters": {"also": "BYTES [-1]: each element is the content of an image file"},
    }
    outputs = [
        {"name": name, "datatype": output.datatype, "shape": [-1, *output.shape(size)]}
        for name, output in OUTPUTS.items()
    ]
    return {"inputs": [photo], "outputs": outputs}


def read_request(body: bytes, header_bytes: int | None, size: int) -> InferRequest:
    """Read a request for answers.

    Args:
        body: JSON, and binary tensors behind it.
        header_bytes: number of bytes of the JSON; None where there is no binary tensor.
        size: side of the model's square input, in pixels.

    Raises:
        ProtocolError: the request breaks the protocol, or asks for what is not there.
    """
    if header_bytes is not None and not 0 <= header_bytes <= len(body):
        raise ProtocolError(f"expected {HEADER} of 0 to {len(body)}, the size of the body")
    values = _parse(body[:header_bytes], size)
    tensor = _only_input(values)
    rest = b"" if header_bytes is None else body[header_bytes:]
    parameters = _mapping(tensor, "parameters")
    binary_size = parameters.get("binary_data_size")
    if binary_size is not None:
        if not _is_whole(binary_size) or binary_size != len(rest) or "data" in tensor:
            raise ProtocolError(f"expected binary_data_size {len(rest)}, the bytes behind the JSON, and no data")
    elif rest:
        raise ProtocolError("expected binary_data_size, because there are bytes behind the JSON")
    identifier = values.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise ProtocolError("expected a text as id")
    photos = _read_tensor(tensor, rest if binary_size is not None else None, size)
    return InferRequest(identifier, photos, _requested(values))


def write_response(
    request: InferRequest, answers: Sequence[Answer], model: Mapping[str, str], size: int
) -> tuple[bytes, int | None]:
    """Write the response to a request.

    Args:
        request: the request.
        answers: answers to its photos.
        model: model_name and model_version.
        size: side of the model's square input, in pixels.

    Returns:
        Body, and the number of bytes of JSON in it; None where there is no binary tensor.
    """
    described, blobs = [], []
    for name, binary in request.outputs.items():
        output = OUTPUTS[name]
        values = [output.value(answer) for answer in answers]
        entry: dict[str, Any] = {
            "name": name,
            "datatype": output.datatype,
            "shape": [len(answers), *output.shape(size)],
        }
        if binary:
            blobs.append(_binary(values, output.datatype))
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = [part for value in values for part in np.ravel(value).tolist()]
        described.append(entry)
    head = json.dumps({**model, **({} if request.id is None else {"id": request.id}), "outputs": described}).encode()
    return (head + b"".join(blobs), len(head)) if blobs else (head, None)


def _parse(text: bytes, size: int) -> dict[str, Any]:
    # A value takes at least a comma or a bracket. Some MB of brackets would become some hundred MB of lists.
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MAX_VALUES + size * size * 3:
        raise ProtocolError("too many values in JSON: send binary tensors")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("expected JSON") from None
    if not isinstance(values, dict):
        raise ProtocolError("expected an object of JSON")
    return values


def _only_input(values: Mapping[str, Any]) -> dict[str, Any]:
    inputs = values.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise ProtocolError(f"expected inputs with one tensor, {INPUT!r}")
    if inputs[0].get("name") != INPUT:
        raise ProtocolError(f"expected the input {INPUT!r}, found another name")
    return inputs[0]


def _read_tensor(tensor: Mapping[str, Any], binary: bytes | None, size: int) -> list[SentPhoto]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or not all(map(_is_whole, shape)):
        raise ProtocolError("expected a shape of whole numbers")
    if not 1 <= shape[0] <= MAX_PHOTOS:
        raise ProtocolError(f"expected 1 to {MAX_PHOTOS} photos")
    datatype = tensor.get("datatype")
    if datatype == "UINT8":
        if shape[1:] != [size, size, 3]:
            raise ProtocolError(f"expected a UINT8 tensor [N, {size}, {size}, 3]")
        return list(_pixels(tensor, binary, shape))
    if datatype == "BYTES":
        if shape[1:] not in ([], [1]):
            raise ProtocolError("expected a BYTES tensor [N]")
        return list(_elements(binary, shape[0]) if binary is not None else _base64(tensor, shape[0]))
    raise ProtocolError("expected the datatype UINT8 (pixels) or BYTES (image files)")


def _pixels(tensor: Mapping[str, Any], binary: bytes | None, shape: list[int]) -> NDArray[np.uint8]:
    wanted = int(np.prod(shape))
    if binary is not None:
        if len(binary) != wanted:
            raise ProtocolError(f"expected {wanted} bytes of pixels, found {len(binary)}")
        return np.frombuffer(binary, np.uint8).reshape(shape)
    try:
        numbers = np.array(tensor.get("data"))
    except (ValueError, OverflowError):
        raise ProtocolError("expected data as numbers, flat or nested like the shape") from None
    if numbers.dtype.kind not in "iu" or numbers.size != wanted or numbers.shape not in ((wanted,), tuple(shape)):
        raise ProtocolError(f"expected data of {wanted} whole numbers, flat or nested like the shape")
    if numbers.min() < 0 or numbers.max() > 255:
        raise ProtocolError("expected numbers from 0 to 255")
    return numbers.astype(np.uint8).reshape(shape)


def _elements(binary: bytes, count: int) -> list[bytes]:
    """Split binary BYTES: each element is its length, 4 bytes little-endian, and its content."""
    found: list[bytes] = []
    place = 0
    while place + _LENGTH.size <= len(binary) and len(found) <= count:
        (length,) = _LENGTH.unpack_from(binary, place)
        place += _LENGTH.size
        found.append(binary[place : place + length])
        place += length
    if len(found) != count or place != len(binary):
        raise ProtocolError(f"expected {count} elements, each with its length in 4 bytes before it")
    return found


def _base64(tensor: Mapping[str, Any], count: int) -> list[bytes]:
    data = tensor.get("data")
    data = (
        [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data] if isinstance(data, list) else []
    )
    if len(data) != count or not all(isinstance(one, str) for one in data):
        raise ProtocolError(f"expected data of {count} texts: image files in base64")
    try:
        return [base64.b64decode(one, validate=True) for one in data]
    except (binascii.Error, ValueError):
        raise ProtocolError("expected image files in base64, found another text: or send binary tensors") from None


def _requested(values: Mapping[str, Any]) -> dict[str, bool]:
    all_binary = _mapping(values, "parameters").get("binary_data_output", False) is True
    outputs = values.get("outputs")
    if outputs is None or outputs == []:
        return dict.fromkeys(OUTPUTS, all_binary)
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise ProtocolError("expected outputs as a list of objects")
    found: dict[str, bool] = {}
    for output in outputs:
        name = output.get("name")
        if not isinstance(name, str) or name not in OUTPUTS or name in found:
            raise ProtocolError(f"expected each output once, of {', '.join(OUTPUTS)}")
        parameters = _mapping(output, "parameters")
        if "classification" in parameters or "shared_memory_region" in parameters:
            raise ProtocolError("classification and shared memory are not offered")
        found[name] = parameters.get("binary_data", all_binary) is True
    return found


def _mapping(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    if found is not None and not isinstance(found, dict):
        raise ProtocolError(f"expected an object as {name}")
    return found or {}


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _binary(values: Sequence[Any], datatype: str) -> bytes:
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.asarray(values, _DTYPES[datatype]).tobytes()
