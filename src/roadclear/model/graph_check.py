"""Check of a model's graph before an engine sees the graph: known operators, known sizes, bounded work.

A model file may come from a stranger. Engines are native code and run what the graph says. So a graph must consist of
the operators that `onnx_file` and the backbone write, with bounded attributes and without loops, subgraphs, functions
or files outside. All shapes must be known for one photo. Memory and work must be near those of our own graphs.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from roadclear.errors import ModelFileError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING_CHANNELS, TOTAL_STRIDE

if TYPE_CHECKING:
    import onnx

OPERATORS = frozenset(
    {"Abs", "Add", "And", "Cast", "Clip", "Conv", "Div", "Gather", "Gemm", "Greater", "GreaterOrEqual", "LessOrEqual"}
    | {"MatMul", "Max", "Mul", "ReduceL2", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Sub", "TopK", "Transpose"}
    | {"Unsqueeze"}
)
"""Operators that a model file may use."""

# Attribute -> lowest and highest value. Other attributes are refused.
_ATTRIBUTES = {
    "axes": (0, 3),
    "axis": (0, 3),
    "group": (1, 4096),
    "keepdims": (0, 1),
    "kernel_shape": (1, 7),
    "pads": (0, 3),
    "perm": (0, 3),
    "strides": (1, 2),
    "to": (1, 1),
    "transB": (0, 1),
}
_OPSET = 17
_MOST_NODES = 1000
_MOST_TENSORS = 1000
_MOST_DIMENSIONS = 4
_LARGEST_DIMENSION = 2**20
_LARGEST_CONSTANT = 64

# Our graphs have 280 values and 6,300 multiplications per pixel of the input, the head of a small photo included.
_VALUES_PER_PIXEL, _VALUES_OF_HEAD = 600, 10_000_000
_WORK_PER_PIXEL, _WORK_OF_HEAD = 20_000, 50_000_000

Shape = tuple[int, ...]


def check_graph(model: "onnx.ModelProto", size: int) -> None:
    """Refuse a graph that is not like those of this package.

    Args:
        model: parsed model file.
        size: side of the square input by the metadata, in pixels.

    Raises:
        ModelFileError: the graph has another input or output, an unknown operator, a subgraph, tensors in other files,
            unknown shapes, or more work than a graph of ours.
    """
    graph = model.graph
    _check_parts(model)
    _check_nodes(graph)
    _check_tensors(graph.initializer)
    shapes = _infer_shapes(model, size)
    _check_convolutions(graph, shapes)
    _check_outputs(graph, shapes, size)
    values = sum(math.prod(shapes[name]) for node in graph.node for name in node.output)
    work = sum(_work(node, shapes) for node in graph.node)
    if values > _VALUES_PER_PIXEL * size**2 + _VALUES_OF_HEAD or work > _WORK_PER_PIXEL * size**2 + _WORK_OF_HEAD:
        raise _refusal(f"work of a network for {size} x {size} pixels", "far more")


def output_shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the outputs for one photo, without the batch axis, by name.

    Args:
        size: side of the square input, in pixels.
    """
    side = size // TOTAL_STRIDE
    return {
        "probability": (),
        "logit": (),
        "embedding": (EMBEDDING_CHANNELS,),
        "heatmap": (side, side),
        "offset": (),
        "distance": (),
        "unsure": (),
        "unfamiliar": (),
    }


def _check_parts(model: "onnx.ModelProto") -> None:
    """Refuse what our files never have: other operator sets, functions, sparse tensors, more inputs."""
    graph = model.graph
    opsets = [(opset.domain, opset.version) for opset in model.opset_import]
    if opsets != [("", _OPSET)]:
        raise _refusal(f"ONNX operator set {_OPSET}", "another")
    for part in (model.functions, model.training_info, graph.sparse_initializer, graph.quantization_annotation):
        if part:
            raise _refusal("one plain graph", "functions, training steps or sparse tensors")
    if [value.name for value in graph.input] != ["photo"]:
        raise _refusal("the input 'photo'", "other inputs")
    if len(graph.node) > _MOST_NODES or len(graph.initializer) > _MOST_TENSORS:
        raise _refusal(f"at most {_MOST_NODES:,} nodes and {_MOST_TENSORS:,} tensors", "more")


def _check_nodes(graph: "onnx.GraphProto") -> None:
    """Refuse unknown operators and attributes, and tensors that are used before they are made."""
    made = {"photo", *(tensor.name for tensor in graph.initializer)}
    if "" in made or len(made) != len(graph.initializer) + 1 or not all(isinstance(name, str) for name in made):
        raise _refusal("tensors with different names", "a name twice, or one that is no text")
    for node in graph.node:
        if node.op_type not in OPERATORS or node.domain:
            raise _refusal("the operators of a roadclear model", f"{node.op_type[:40]!r}")
        for attribute in node.attribute:
            _check_attribute(attribute)
        if (
            len(node.input) < 1
            or not node.output
            or not made.issuperset(node.input)
            or not made.isdisjoint(node.output)
            or "" in node.output
        ):
            raise _refusal("a graph in the order of its computation", "another order, or a name twice")
        made.update(node.output)


def _check_attribute(attribute: "onnx.AttributeProto") -> None:
    from onnx import AttributeProto

    low, high = _ATTRIBUTES.get(attribute.name, (1, 0))
    values = [attribute.i] if attribute.type == AttributeProto.INT else list(attribute.ints)
    known = attribute.type in (AttributeProto.INT, AttributeProto.INTS) and not attribute.ref_attr_name
    if not known or not 1 <= len(values) <= 2 * _MOST_DIMENSIONS or not all(low <= value <= high for value in values):
        raise _refusal("the operators of a roadclear model", f"attribute {attribute.name[:40]!r} of another kind")


def _check_tensors(tensors: "Iterable[onnx.TensorProto]") -> None:
    """Refuse tensors that lie in other files, or whose bytes are not as many as their shape needs."""
    from onnx import TensorProto

    bytes_each: dict[int, int] = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT64: 8}
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise _refusal("all weights in the model file", "weights in another file")
        fits = len(tensor.dims) <= _MOST_DIMENSIONS and all(1 <= side <= _LARGEST_DIMENSION for side in tensor.dims)
        each = bytes_each.get(tensor.data_type)
        if not fits or each is None or len(tensor.raw_data) != each * math.prod(tensor.dims):
            raise _refusal("tensors whose bytes fit their shape", f"another in {tensor.name[:40]!r}")


def _infer_shapes(model: "onnx.ModelProto", size: int) -> dict[str, Shape]:
    """Compute the shape of every tensor for one photo, from a copy of the graph without its weights."""
    import onnx
    from onnx import helper

    graph = onnx.GraphProto(name="shapes")
    graph.node.extend(model.graph.node)
    shapes: dict[str, Shape] = {"photo": (1, size, size, 3)}
    graph.input.append(helper.make_tensor_value_info("photo", onnx.TensorProto.UINT8, shapes["photo"]))
    for tensor in model.graph.initializer:
        shapes[tensor.name] = tuple(tensor.dims)
        if math.prod(tensor.dims) <= _LARGEST_CONSTANT:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    bare = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # the library raises several kinds, some of them without a narrower base class
        raise _refusal("a graph whose shapes fit", "shapes that do not fit") from error
    for value in inferred.graph.value_info:
        shapes[value.name] = tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
    for node in model.graph.node:
        for name in node.output:
            if name not in shapes or 0 in shapes[name]:
                raise _refusal("a graph whose shapes are known", f"an unknown shape of {name[:40]!r}")
    return shapes


def _check_convolutions(graph: "onnx.GraphProto", shapes: dict[str, Shape]) -> None:
    """Refuse convolutions whose tensors do not fit each other. Shape inference does not compare them."""
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        group = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        kernel = next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == "kernel_shape"), ())
        photo, weights, *bias = (shapes[name] for name in node.input)
        fits = len(photo) == len(weights) == _MOST_DIMENSIONS and photo[1] == weights[1] * group
        if not fits or weights[0] % group or weights[2:] != kernel or bias not in ([], [weights[:1]]):
            raise _refusal("a graph whose shapes fit", f"a convolution {node.name[:40]!r} that does not fit")


def _check_outputs(graph: "onnx.GraphProto", shapes: dict[str, Shape], size: int) -> None:
    """Refuse another input type, and outputs with other names, types or shapes than the documented ones."""
    from onnx import TensorProto

    photo = graph.input[0].type.tensor_type
    sides = [side.dim_value for side in photo.shape.dim]
    if (
        photo.elem_type != TensorProto.UINT8
        or len(sides) != 4
        or sides[1:] != [size, size, 3]
        or sides[0] not in (0, 1)
    ):
        raise _refusal(f"an input of {size} x {size} pixels as the metadata says", "another input")
    expected = {name: (1, *shape) for name, shape in output_shapes(size).items()}
    found = {value.name: shapes.get(value.name) for value in graph.output}
    if found != expected or len(graph.output) != len(expected):
        raise _refusal(f"the outputs {', '.join(expected)} for {size} x {size} pixels", "others")


def _work(node: "onnx.NodeProto", shapes: dict[str, Shape]) -> int:
    """Count the multiplications of a node for one photo, or its values where there are none."""
    result = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        return math.prod(shapes[node.input[1]]) * math.prod(shapes[node.output[0]][2:])
    if node.op_type in ("Gemm", "MatMul"):
        return result * shapes[node.input[0]][-1]
    return max(result, *(math.prod(shapes[name]) for name in node.input))


def _refusal(expected: str, found: str) -> ModelFileError:
    return ModelFileError(f"expected {expected}, found {found}: train the model again, or get it from its maker again")
