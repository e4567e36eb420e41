"""The frozen base network: MobileNetV2 weights from a checked file, and the graph that runs them."""

from typing import TYPE_CHECKING

from roadclear.features.backbone.mobilenetv2 import block_output
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution, load_weights

if TYPE_CHECKING:
    import onnx

__all__ = ["BackboneWeights", "FoldedConvolution", "block_output", "build", "build_trunk", "load_weights"]


def build(weights: BackboneWeights, size: int = 224) -> "onnx.ModelProto":
    """Build the backbone's ONNX graph: see `roadclear.features.backbone.graph.build`. Only this imports onnx."""
    from roadclear.features.backbone import graph

    return graph.build(weights, size)


def build_trunk(weights: BackboneWeights, output: str, size: int = 224) -> "onnx.ModelProto":
    """Build the part below an inverted residual, see `roadclear.features.backbone.graph.build_trunk`. Imports onnx."""
    from roadclear.features.backbone import graph

    return graph.build_trunk(weights, output, size)
