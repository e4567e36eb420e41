"""Parts of a model file: the backbone's weights and the head, as a later training starts from them.

The inverse of `roadclear.model.onnx_file`, for the two parts that are trained.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roadclear.errors import ModelFileError
from roadclear.features.backbone.mobilenetv2 import (
    BLOCKS,
    EMBEDDING,
    EMBEDDING_CHANNELS,
    STEM,
    convolutions,
    trunk_output,
)
from roadclear.features.backbone.sources import Padding, Preprocessing
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution
from roadclear.model.heads import HIDDEN_UNITS, DenseHead, Head, LinearHead
from roadclear.model.metadata import ModelFacts

if TYPE_CHECKING:
    import onnx

Tensors = Mapping[str, NDArray[np.float32]]

_EARLIER = ", fine-tuned in earlier trainings"
_TUNED = re.compile(r"fine-tuned from (.+), SHA-256 [0-9a-f]{64}: the last convolution and the last \d+ of \d+ .+")
_LONGEST_ORIGIN = 500


@dataclass(frozen=True, eq=False)
class ModelParts:
    """Trained parts of a model.

    Attributes:
        weights: weights of the backbone, with the SHA-256 of the model file.
        head: calibrated head.
        ood_tensor: name of the tensor behind the distance to the training photos: no training changed the layers below
            the tensor. See `roadclear.model.decision.ood.ood_layer`.
    """

    weights: BackboneWeights
    head: Head
    ood_tensor: str


def read_parts(data: bytes, sha256: str, facts: ModelFacts) -> ModelParts:
    """Read the backbone's weights and the calibrated head of a model file.

    The graph built from both is that of the file, to the bit. The weights bear the SHA-256 of the model file, because
    the file's own metadata are no proof of its weights.

    Args:
        data: serialized model whose facts and graph were checked; see `roadclear.model.metadata.read_facts`.
        sha256: SHA-256 of the serialized model, in hex.
        facts: facts in the model.

    Raises:
        ModelFileError: a layer of the network is missing, has another shape, or holds values that are not finite.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.ModelProto.FromString(data).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = BackboneWeights(
        name=facts.weights_name,
        sha256=sha256,
        origin=_origin(facts.weights_origin),
        preprocessing=_preprocessing(tensors),
        padding=_padding(graph),
        convolutions={
            convolution.name: FoldedConvolution(
                _tensor(tensors, f"{convolution.name}/kernel", convolution.kernel_shape),
                _tensor(tensors, f"{convolution.name}/bias", convolution.kernel_shape[:1]),
            )
            for convolution in convolutions()
        },
    )
    return ModelParts(weights, _head(tensors, facts.head), _ood_tensor(graph))


def _head(tensors: Tensors, kind: str) -> Head:
    if kind == "linear":
        bias = _tensor(tensors, "output/bias", ())
        return LinearHead(_tensor(tensors, "output/kernel", (EMBEDDING_CHANNELS,)), np.float32(bias))
    return DenseHead(
        _tensor(tensors, "hidden/kernel", (EMBEDDING_CHANNELS, HIDDEN_UNITS)),
        _tensor(tensors, "hidden/bias", (HIDDEN_UNITS,)),
        _tensor(tensors, "output/kernel", (HIDDEN_UNITS,)),
        np.float32(_tensor(tensors, "output/bias", ())),
    )


def _preprocessing(tensors: Tensors) -> Preprocessing:
    """Undo the scaling of the graph. In float64 the way there and back gives the same float32 values."""
    colours = (1, 3, 1, 1)
    offset = _tensor(tensors, "preprocessing/mean", colours).astype(np.float64).ravel()
    scale = _tensor(tensors, "preprocessing/scale", colours).astype(np.float64).ravel()
    if not (scale > 0).all():
        raise _refusal("preprocessing/scale")
    red, green, blue = (offset / 255).tolist()
    red_std, green_std, blue_std = (1 / (255 * scale)).tolist()
    return Preprocessing((red, green, blue), (red_std, green_std, blue_std))


def _padding(graph: "onnx.GraphProto") -> Padding:
    """Find the padding of the stem, which all convolutions of stride 2 share."""
    for node in graph.node:
        if node.op_type == "Conv" and f"{STEM.name}/kernel" in node.input:
            pads = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "pads"), [])
            return "same_upper" if pads == [0, 0, 1, 1] else "symmetric"
    raise _refusal(STEM.name)


def _ood_tensor(graph: "onnx.GraphProto") -> str:
    """Find the tensor that the distance reads: the embedding, or the one whose absolute values are averaged."""
    read = next((node.input[0] for node in graph.node if node.output[0] == "distance/strengths"), EMBEDDING)
    known = [trunk_output(blocks) for blocks in range(1, len(BLOCKS) + 1)]
    if read not in (EMBEDDING, *known):
        raise _refusal("distance/strengths")
    return str(read)


def _tensor(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape or tensor.dtype != np.float32 or not np.isfinite(tensor).all():
        raise _refusal(name)
    return tensor


def _refusal(name: str) -> ModelFileError:
    return ModelFileError(
        f"expected the layers of a MobileNetV2 with a head of roadclear, found another {name!r}: start from a run, or "
        "from the model.onnx of one"
    )


def _origin(origin: str) -> str:
    """Shorten the origin of weights that were fine-tuned before, so that it does not grow with every training."""
    root = origin
    while (found := _TUNED.fullmatch(root)) is not None:
        root = found[1]
    root = root.removesuffix(_EARLIER)[:_LONGEST_ORIGIN]
    return root if root == origin else f"{root}{_EARLIER}"
