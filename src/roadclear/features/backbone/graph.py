"""Backbone as an ONNX graph: photo in, embedding and feature map out."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from roadclear.errors import OptionError
from roadclear.features.backbone.mobilenetv2 import (
    BLOCKS,
    EMBEDDING,
    EMBEDDING_CHANNELS,
    FINAL,
    STEM,
    STEM_OUTPUT,
    TOTAL_STRIDE,
    Convolution,
    InvertedResidual,
    block_output,
    tensor_shape,
)
from roadclear.features.backbone.sources import Padding, Preprocessing
from roadclear.features.backbone.weights import BackboneWeights

# Supported by every engine since 2022 (ONNX 1.12, ONNX Runtime 1.12, OpenVINO 2022.2).
_OPSET = 17
_IR_VERSION = 8

# Pads of a 3x3 convolution: top, left, bottom, right. With an even input and stride 2, "same" padding adds one row and
# one column. The input is even at every stride, because the size is a multiple of 32.
_SYMMETRIC_PADS = (1, 1, 1, 1)
_UPPER_PADS = (0, 0, 1, 1)


def build(weights: BackboneWeights, size: int = 224, inner: str | None = None) -> onnx.ModelProto:
    """Build the frozen backbone for square photos of `size` pixels.

    Input: ``photo``, uint8 ``[N, size, size, 3]``, RGB. Outputs: ``embedding``, float32 ``[N, 1280]``, and
    ``feature_map``, float32 ``[N, 1280, size/32, size/32]``. The embedding is the spatial mean of the feature map. The
    output tensor of inverted residual k is named ``block_output(k)``.

    The graph scales and normalises photos. Normalisation is not folded into the first convolution, because the network
    pads with zeros *after* normalisation.

    Args:
        weights: weights of the backbone.
        size: side of the square photo, in pixels.
        inner: name of an inner tensor that is an output as well, as in `build_trunk`; None for none.

    Raises:
        OptionError: `size` is not a positive multiple of 32, or the name is unknown.
    """
    _check_size(size)
    builder = _Builder(weights)
    builder.convolve(FINAL, builder.trunk(block_output(BLOCKS[-1].index)), "feature_map")
    builder.add("ReduceMean", ["feature_map"], EMBEDDING, axes=[2, 3], keepdims=0)
    places = size // TOTAL_STRIDE
    outputs = {EMBEDDING: tensor_shape(EMBEDDING, size), "feature_map": (EMBEDDING_CHANNELS, places, places)}
    if inner is not None:
        outputs[inner] = tensor_shape(inner, size)
    return builder.model(size, outputs)


def build_trunk(weights: BackboneWeights, output: str, size: int = 224) -> onnx.ModelProto:
    """Build the backbone up to an inner tensor.

    The input is the input of `build`. The output is the tensor, float32 ``[N, channels, side, side]``, with its name.

    Args:
        weights: weights of the backbone.
        output: name of the tensor: ``STEM_OUTPUT`` or a ``block_output(k)``.
        size: side of the square photo, in pixels.

    Raises:
        OptionError: `size` is not a positive multiple of 32, or the name is unknown.
    """
    _check_size(size)
    shape = tensor_shape(output, size)
    builder = _Builder(weights)
    builder.trunk(output)
    return builder.model(size, {output: shape})


def _check_size(size: int) -> None:
    if size < TOTAL_STRIDE or size % TOTAL_STRIDE:
        raise OptionError(
            f"size must be a multiple of {TOTAL_STRIDE} and at least {TOTAL_STRIDE} pixels, found {size}: "
            f"try {max(1, round(size / TOTAL_STRIDE)) * TOTAL_STRIDE}"
        )


class _Builder:
    """Collects nodes and initializers. A node bears the name of the tensor that it makes."""

    def __init__(self, weights: BackboneWeights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._relu6_limits = [self.constant(f"relu6/{end}", np.float32(x)) for end, x in (("min", 0), ("max", 6))]

    def constant(self, name: str, value: NDArray[np.float32] | np.float32) -> str:
        self._initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: Iterable[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))

    def trunk(self, output: str) -> str:
        """Add all layers from the photo to the output of the stem or a block."""
        self.normalise("photo", "normalised", self._weights.preprocessing)
        tensor = STEM_OUTPUT
        self.convolve(STEM, "normalised", tensor)
        for block in BLOCKS:
            if tensor == output:
                break
            tensor = self.inverted_residual(block, tensor)
        return tensor

    def normalise(self, photo: str, output: str, preprocessing: Preprocessing) -> None:
        """Add (rgb / 255 - mean) / std, channels first."""
        mean = np.array(preprocessing.mean, np.float64).reshape(1, 3, 1, 1)
        std = np.array(preprocessing.std, np.float64).reshape(1, 3, 1, 1)
        offset = self.constant("preprocessing/mean", (255 * mean).astype(np.float32))
        scale = self.constant("preprocessing/scale", (1 / (255 * std)).astype(np.float32))
        self.add("Transpose", [photo], "preprocessing/planes", perm=[0, 3, 1, 2])
        self.add("Cast", ["preprocessing/planes"], "preprocessing/float", to=TensorProto.FLOAT)
        self.add("Sub", ["preprocessing/float", offset], "preprocessing/centred")
        self.add("Mul", ["preprocessing/centred", scale], output)

    def inverted_residual(self, block: InvertedResidual, tensor: str) -> str:
        output = block_output(block.index)
        inside = tensor
        for convolution in block.convolutions[:-1]:
            self.convolve(convolution, inside, f"{convolution.name}/output")
            inside = f"{convolution.name}/output"
        project = block.convolutions[-1]
        if not block.shortcut:
            self.convolve(project, inside, output)
            return output
        self.convolve(project, inside, f"{project.name}/output")
        self.add("Add", [tensor, f"{project.name}/output"], output)
        return output

    def convolve(self, convolution: Convolution, tensor: str, output: str) -> None:
        """Add a convolution with folded BatchNorm, and the ReLU6 that follows some convolutions."""
        folded = self._weights.convolutions[convolution.name]
        self.add(
            "Conv",
            [
                tensor,
                self.constant(f"{convolution.name}/kernel", folded.kernel),
                self.constant(f"{convolution.name}/bias", folded.bias),
            ],
            f"{convolution.name}/linear" if convolution.relu6 else output,
            kernel_shape=convolution.kernel_shape[2:],
            strides=[convolution.stride] * 2,
            pads=_pads(convolution, self._weights.padding),
            group=convolution.groups,
        )
        if convolution.relu6:
            self.add("Clip", [f"{convolution.name}/linear", *self._relu6_limits], output)

    def model(self, size: int, outputs: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
        """Finish the graph, with output tensors by name and their shapes for one photo."""
        photo = helper.make_tensor_value_info("photo", TensorProto.UINT8, ["N", size, size, 3])
        declared = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, "backbone", [photo], declared, self._initializers)
        return helper.make_model(
            graph,
            producer_name="roadclear",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )


def _pads(convolution: Convolution, padding: Padding) -> tuple[int, int, int, int]:
    if convolution.kernel_shape[-1] == 1:
        return (0, 0, 0, 0)
    return _UPPER_PADS if padding == "same_upper" and convolution.stride == 2 else _SYMMETRIC_PADS
