"""Translation of model.onnx to LiteRT, operator by operator.

ONNX has channels first, LiteRT has channels last. So every tensor of four dimensions is turned, and the Transpose at
the photo falls away. Where ONNX flattens the feature map to [N, C, P], LiteRT has [N, P, C].
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadclear.deploy.export.litert.flatbuffer import FileWriter, schema
from roadclear.errors import EngineError
from roadclear.model.metadata import ModelFacts

if TYPE_CHECKING:
    import onnx

NOTES = "roadclear"
"""Name of the metadata in the file: labels, threshold and size as JSON."""

_LAST = (0, 2, 3, 1)
_FEW = 1024
"""Constants of fewer values stay float32."""

_SAME: Mapping[str, str] = {
    "Abs": "ABS",
    "Add": "ADD",
    "And": "LOGICAL_AND",
    "Cast": "CAST",
    "Div": "DIV",
    "Greater": "GREATER",
    "GreaterOrEqual": "GREATER_EQUAL",
    "LessOrEqual": "LESS_EQUAL",
    "Max": "MAXIMUM",
    "Mul": "MUL",
    "Relu": "RELU",
    "Sigmoid": "LOGISTIC",
    "Sub": "SUB",
}
"""Operators that do the same in both formats, apart from the order of dimensions."""


def translate(model: bytes, facts: ModelFacts, weights: str = "float32") -> bytes:
    """Write model.onnx as a .tflite file with the same input and the same outputs.

    Args:
        model: content of model.onnx.
        facts: facts about the model. Labels, threshold and size are written into the file.
        weights: how large constants are stored: "float32", "float16", or "int8", with a scale for each channel. All are
            computed with in float32.

    Raises:
        EngineError: ai-edge-litert is not installed, or the graph has an operator that is not known here.
    """
    return _Translator(model, weights).file(facts)


class _Translator:
    """One translation. Tensors of ONNX are known by their names, and have one number in LiteRT."""

    def __init__(self, model: bytes, weights: str) -> None:
        import onnx
        from onnx import numpy_helper

        graph = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(model), strict_mode=True).graph
        self._graph, self._stored_as = graph, weights
        self._writer = FileWriter()
        self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._values = {one.name: one.type.tensor_type for one in (*graph.input, *graph.value_info, *graph.output)}
        self._limits = {node.input[0]: node for node in graph.node if node.op_type == "Clip"}
        self._weights: dict[tuple[str, bool], int] = {}
        self._flat: set[str] = set()
        self._numbers: dict[str, int] = {}

    def file(self, facts: ModelFacts) -> bytes:
        """Translate all operators, and write the file."""
        (photo,) = self._graph.input
        shape = tuple(side.dim_value or 1 for side in photo.type.tensor_type.shape.dim)
        self._numbers[photo.name] = self._writer.tensor(photo.name, shape, np.uint8)
        for node in self._graph.node:
            self._translate(node, {attribute.name: attribute for attribute in node.attribute})
        notes = {"positive": facts.positive, "negative": facts.negative, "threshold": facts.threshold}
        return self._writer.file(
            {photo.name: self._numbers[photo.name]},
            {one.name: self._numbers[one.name] for one in self._graph.output},
            {NOTES: json.dumps({**notes, "size": facts.size}).encode()},
        )

    def _translate(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        if node.op_type == "Cast" and node.input[0] in self._constants:
            self._constants[node.output[0]] = self._constants[node.input[0]].astype(np.float32)
        elif node.op_type in _SAME:
            self._operator(_SAME[node.op_type], node.input, node.output[0])
        else:
            method = getattr(self, f"_{node.op_type.lower()}", None)
            if method is None:
                raise EngineError(f"expected operators that LiteRT has, found {node.op_type}: this is a bug")
            method(node, attributes)

    def _transpose(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        """Leave out the step to channels first, which only the photo takes."""
        if node.input[0] != self._graph.input[0].name:
            raise EngineError(f"expected no Transpose but at the photo, found one at {node.input[0]}: this is a bug")
        self._numbers[node.output[0]] = self._numbers[node.input[0]]

    def _conv(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        """Translate a convolution, with the limits of ReLU6 behind it."""
        photo, kernel, bias = node.input
        stride, groups = attributes["strides"].ints[0], attributes["group"].i
        photo_number, same = self._padded(photo, attributes["pads"].ints, stride)
        clip = self._limits.get(node.output[0])
        output = node.output[0] if clip is None else clip.output[0]
        options = {
            "padding": schema().Padding.SAME if same else schema().Padding.VALID,
            "strideW": stride,
            "strideH": stride,
            "fusedActivationFunction": schema().ActivationFunctionType.NONE
            if clip is None
            else schema().ActivationFunctionType.RELU6,
        }
        inputs = [photo_number, self._weight(kernel, groups > 1), self._weight(bias)]
        if groups > 1:
            options = {"kind": "DepthwiseConv2DOptions", "depthMultiplier": 1, **options}
            self._writer.operator("DEPTHWISE_CONV_2D", inputs, [self._made(output)], **options)
        else:
            self._writer.operator("CONV_2D", inputs, [self._made(output)], kind="Conv2DOptions", **options)

    def _padded(self, tensor: str, pads: Sequence[int], stride: int) -> tuple[int, bool]:
        """Return the number of the tensor, and whether LiteRT's "same" padding is the padding of ONNX.

        "Same" adds a row and a column on both sides at stride 1. At stride 2 it adds them at the far sides alone, since
        all sides are even. Another padding is an operator of its own.
        """
        number = self._numbers[tensor]
        if not any(pads):
            return number, False
        if list(pads) == ([1, 1, 1, 1] if stride == 1 else [0, 0, 1, 1]):
            return number, True
        top, left, bottom, right = pads
        rows, columns, channels = self._shape(tensor)[1:]
        padded = self._writer.tensor(
            f"{tensor}/padded", (1, rows + top + bottom, columns + left + right, channels), np.float32
        )
        amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        self._writer.operator("PAD", [number, self._writer.constant(f"{tensor}/pads", amounts)], [padded])
        return padded, False

    def _clip(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        """Check that the limits are those of ReLU6, which the convolution before has."""
        if [float(self._constants[name]) for name in node.input[1:]] != [0.0, 6.0]:
            raise EngineError("expected limits of 0 and 6, found others: this is a bug")

    def _gemm(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        """Translate a dense layer. Both directions read the same constant, so the kernel is stored once."""
        data, kernel, *bias = node.input
        weights = self._weight(kernel, turned=True)
        if "transB" in attributes:
            self._writer.operator(
                "BATCH_MATMUL", [self._number(data), weights], [self._made(node.output[0])], kind="BatchMatMulOptions"
            )
        else:
            self._dense(data, [weights, *(self._weight(name) for name in bias)], node.output[0])

    def _matmul(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        left, right = node.input
        if right not in self._constants:
            self._writer.operator(
                "BATCH_MATMUL",
                [self._number(left), self._number(right)],
                [self._made(node.output[0])],
                kind="BatchMatMulOptions",
                adjY=right in self._flat,
            )
        else:
            self._dense(left, [self._weight(right, turned=True)], node.output[0])

    def _dense(self, data: str, weights: list[int], output: str) -> None:
        """Add a dense layer. One with a vector of weights makes [N, 1], which is reshaped to [N]."""
        shape = self._shape(output)
        made = self._made(output)
        whole = made if len(shape) > 1 else self._writer.tensor(f"{output}/column", (1, 1), np.float32)
        self._writer.operator("FULLY_CONNECTED", [self._number(data), *weights], [whole], kind="FullyConnectedOptions")
        if whole != made:
            self._reshaped(whole, shape, made)

    def _reducemean(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        """Average over the places, which are dimensions 2 and 3 in ONNX, and 1 and 2 in LiteRT."""
        axes = self._writer.constant(f"{node.output[0]}/axes", np.array([1, 2], np.int32))
        inputs = [self._number(node.input[0]), axes]
        self._writer.operator("MEAN", inputs, [self._made(node.output[0])], kind="ReducerOptions", keepDims=False)

    def _reducel2(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        name, (rows, columns) = node.output[0], self._shape(node.input[0])
        squares = self._writer.tensor(f"{name}/squares", (rows, columns), np.float32)
        total = self._writer.tensor(f"{name}/sum", (rows, 1), np.float32)
        axes = self._writer.constant(f"{name}/axes", np.array([1], np.int32))
        self._writer.operator("SQUARE", [self._number(node.input[0])], [squares])
        self._writer.operator("SUM", [squares, axes], [total], kind="ReducerOptions", keepDims=True)
        self._writer.operator("SQRT", [total], [self._made(name)])

    def _reshape(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        data, output = node.input[0], node.output[0]
        if len(self._shape(data)) == 4:
            self._flat.add(output)
        self._reshaped(self._number(data), self._shape(output), self._made(output))

    def _unsqueeze(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        output = node.output[0]
        self._reshaped(self._number(node.input[0]), self._shape(output), self._made(output))

    def _topk(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        count = self._writer.constant(f"{node.input[1]}", self._constants[node.input[1]].astype(np.int32).reshape(()))
        shape = self._shape(node.output[0])
        which = self._writer.tensor(node.output[1], shape, np.int32)
        self._writer.operator("TOPK_V2", [self._number(node.input[0]), count], [self._made(node.output[0]), which])

    def _gather(self, node: "onnx.NodeProto", attributes: Mapping[str, Any]) -> None:
        which = self._writer.constant(node.input[1], self._constants[node.input[1]].astype(np.int32))
        inputs = [self._number(node.input[0]), which]
        self._writer.operator("GATHER", inputs, [self._made(node.output[0])], kind="GatherOptions", axis=1)

    def _reshaped(self, number: int, shape: Sequence[int], output: int) -> None:
        """Reshape for any number of photos."""
        sides = [-1, *shape[1:]]
        target = self._writer.constant("shape", np.array(sides, np.int32))
        self._writer.operator("RESHAPE", [number, target], [output], kind="ReshapeOptions", newShape=sides)

    def _operator(self, code: str, inputs: Sequence[str], output: str) -> None:
        self._writer.operator(code, [self._number(name) for name in inputs], [self._made(output)])

    def _number(self, name: str) -> int:
        return self._weight(name) if name in self._constants else self._numbers[name]

    def _weight(self, name: str, turned: bool = False) -> int:
        """Store a constant once in each order of its dimensions.

        A constant whose values are float16 is stored so in any case: nothing is lost.

        Args:
            name: name of the constant.
            turned: whether a dense kernel [in, out] becomes [out, in], or the kernel of a depthwise convolution
                [C, 1, rows, columns] becomes [1, rows, columns, C].
        """
        if (name, turned) not in self._weights:
            value, axis = self._constants[name], 0
            if value.ndim == 4:
                value, axis = value.transpose((1, 2, 3, 0) if turned else _LAST), 3 if turned else 0
            elif turned:
                value = value.T if value.ndim == 2 else value[None]
            self._weights[name, turned] = self._stored(name, np.ascontiguousarray(value, np.float32), axis)
        return self._weights[name, turned]

    def _stored(self, name: str, value: NDArray[np.float32], axis: int) -> int:
        """Add a constant, and the operator that makes float32 of another type."""
        half = value.astype(np.float16)
        if value.size < _FEW or (self._stored_as == "float32" and not np.array_equal(half, value)):
            return self._writer.constant(name, value)
        if self._stored_as == "int8" and not np.array_equal(half, value):
            small = self._writer.scaled(f"{name}/int8", *_rounded(value, axis), axis)
        else:
            small = self._writer.constant(f"{name}/float16", half)
        number = self._writer.tensor(name, value.shape, np.float32)
        self._writer.operator("DEQUANTIZE", [small], [number])
        return number

    def _made(self, name: str) -> int:
        """Add the tensor that an operator makes."""
        from onnx.helper import tensor_dtype_to_np_dtype

        dtype = tensor_dtype_to_np_dtype(self._values[name].elem_type)
        self._numbers[name] = self._writer.tensor(name, self._shape(name), dtype)
        return self._numbers[name]

    def _shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor for one photo, in LiteRT's order."""
        sides = [side.dim_value or 1 for side in self._values[name].shape.dim]
        if len(sides) == 4:
            return tuple(sides[k] for k in _LAST)
        if name in self._flat:
            return sides[0], sides[2], sides[1]
        return tuple(sides)


def _rounded(value: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a constant to 8-bit integers, -127 to 127, with one scale for each index of an axis."""
    others = tuple(k for k in range(value.ndim) if k != axis)
    scale = np.maximum(np.abs(value).max(others, keepdims=True), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(value / scale).astype(np.int8), scale.ravel()
