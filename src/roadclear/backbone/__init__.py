"""The frozen base network: MobileNetV2 weights from a checked file, and the graph that runs them."""

from typing import TYPE_CHECKING

from roadclear.backbone.mobilenetv2 import block_output
from roadclear.backbone.weights import BackboneWeights, FoldedConvolution, load_weights

if TYPE_CHECKING:
    import onnx

__all__ = ["BackboneWeights", "FoldedConvolution", "block_output", "build", "build_trunk", "load_weights"]


def build(weights: BackboneWeights, size: int = 224) -> "onnx.ModelProto":
    """Build the backbone's ONNX graph: see `roadclear.backbone.graph.build`. Only this imports onnx."""
    from roadclear.backbone import graph

    return graph.build(weights, size)


def build_trunk(weights: BackboneWeights, output: str, size: int = 224) -> "onnx.ModelProto":
    """Build its part below an inverted residual: see `roadclear.backbone.graph.build_trunk`. Imports onnx as well."""
    from roadclear.backbone import graph

    return graph.build_trunk(weights, output, size)
