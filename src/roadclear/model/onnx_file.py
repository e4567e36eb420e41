"""Model file: backbone, head, decision rules and facts in one ONNX file that runs without this package.

Input `photo`, uint8 [N, S, S, 3] RGB. Outputs are float32, except the last two, which are boolean:

    probability [N]              probability of the positive class: sigmoid(logit)
    logit       [N]              calibrated log-odds of the positive class
    embedding   [N, 1280]        embedding of the photo
    heatmap     [N, S/32, S/32]  contribution of each cell to the logit
    offset      [N]              rest of the logit:  logit = heatmap.sum() + offset
    distance    [N]              distance to the training photos, see `roadclear.model.decision.ood`
    unsure      [N]              whether the probability is in the unsure band, see `roadclear.model.decision.conformal`
    unfamiliar  [N]              whether the distance is beyond the limit

Why the heatmap is exact. The embedding is the mean of the feature map F over its P cells, e = (1/P) sum_p F_p. The
hidden layer is h = relu(W'e + b). For one photo, unit j is active when h_j > 0. Let v_j be the output weight w_j of an
active unit, and zero of an inactive unit. relu is the identity on active units and zero on inactive units, so

    logit = sum_j v_j (W_j . e + b_j) + c = (W v) . e + (v . b + c) = sum_p (W v) . F_p / P + offset.

The equation has no approximation: the gate v comes from the same forward pass. For a linear head, W v is the kernel.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import EMBEDDING, EMBEDDING_CHANNELS, TOTAL_STRIDE
from roadclear.features.backbone.weights import BackboneWeights
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.ood import Ood, OodGaussian, OodReference
from roadclear.model.graph_check import output_shapes
from roadclear.model.heads import DenseHead, Head, LinearHead

if TYPE_CHECKING:
    import onnx

from roadclear.model.metadata import ModelFacts, to_metadata


def build_model_file(weights: BackboneWeights, head: Head, ood: Ood, facts: ModelFacts) -> bytes:
    """Join backbone, head, decision rules and facts into a serialized ONNX model, and check the model.

    Args:
        weights: weights of the backbone.
        head: calibrated head.
        ood: distance to the training photos, with its limit.
        facts: facts for the metadata; `facts.band` and `facts.size` also shape the graph.

    Raises:
        onnx.checker.ValidationError: the graph is invalid, which is a bug.
    """
    import onnx

    from roadclear.features.backbone.graph import build

    model = build(weights, facts.size)
    appended = _HeadGraph(model.graph, facts.size)
    if isinstance(head, DenseHead):
        appended.dense(head)
    else:
        appended.linear(head)
    appended.decide(facts.band, ood)
    onnx.helper.set_model_props(model, to_metadata(facts))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


class _HeadGraph:
    """Builder that appends the head's nodes to a backbone graph. Each node is named after its output tensor."""

    def __init__(self, graph: "onnx.GraphProto", size: int) -> None:
        self._graph = graph
        self._side = size // TOTAL_STRIDE

    def dense(self, head: DenseHead) -> None:
        from onnx import TensorProto

        kernel = self._constant("hidden/kernel", head.hidden_kernel)
        bias = self._constant("hidden/bias", head.hidden_bias)
        output_kernel = self._constant("output/kernel", head.output_kernel)
        output_bias = self._constant("output/bias", head.output_bias)
        zero = self._constant("hidden/zero", np.float32(0))
        self._add("Gemm", ["embedding", kernel, bias], "hidden/linear")
        self._add("Relu", ["hidden/linear"], "hidden/output")
        self._add("MatMul", ["hidden/output", output_kernel], "output/linear")
        self._add("Add", ["output/linear", output_bias], "logit")
        self._add("Greater", ["hidden/linear", zero], "hidden/is_active")
        self._add("Cast", ["hidden/is_active"], "hidden/active", to=TensorProto.FLOAT)
        self._add("Mul", ["hidden/active", output_kernel], "hidden/gate")
        self._add("Gemm", ["hidden/gate", kernel], "heatmap/channel_weights", transB=1)
        self._add("MatMul", ["hidden/gate", bias], "offset/hidden")
        self._add("Add", ["offset/hidden", output_bias], "offset")

    def linear(self, head: LinearHead) -> None:
        kernel = self._constant("output/kernel", head.kernel)
        bias = self._constant("output/bias", head.bias)
        zero = self._constant("offset/zero", np.float32(0))
        self._add("MatMul", ["embedding", kernel], "output/linear")
        self._add("Add", ["output/linear", bias], "logit")
        # Channel weights and offset are the same for every photo. Adding zeros from the input gives the batch size.
        self._add("Mul", ["embedding", zero], "offset/zeros")
        self._add("Add", ["offset/zeros", kernel], "heatmap/channel_weights")
        self._add("Mul", ["logit", zero], "offset/zero_each")
        self._add("Add", ["offset/zero_each", bias], "offset")

    def decide(self, band: UnsureBand, ood: Ood) -> None:
        """Add all outputs that follow from logit, embedding and channel weights."""
        self._add("Sigmoid", ["logit"], "probability")
        self._heatmap()
        self._unsure(band)
        self._distance(ood)
        self._declare_outputs()

    def _heatmap(self) -> None:
        places = self._constant("heatmap/places", np.array([0, EMBEDDING_CHANNELS, self._side**2], np.int64))
        square = self._constant("heatmap/square", np.array([0, self._side, self._side], np.int64))
        share = self._constant("heatmap/share", np.float32(1 / self._side**2))
        axis = self._constant("heatmap/row_axis", np.array([1], np.int64))
        self._add("Reshape", ["feature_map", places], "heatmap/feature_rows")
        self._add("Unsqueeze", ["heatmap/channel_weights", axis], "heatmap/weight_row")
        self._add("MatMul", ["heatmap/weight_row", "heatmap/feature_rows"], "heatmap/sums")
        self._add("Mul", ["heatmap/sums", share], "heatmap/row")
        self._add("Reshape", ["heatmap/row", square], "heatmap")

    def _unsure(self, band: UnsureBand) -> None:
        """Add `unsure`. A band without width is moved to 2, which no probability reaches."""
        is_empty = band.low == band.high
        low = self._constant("unsure/low", np.float32(2 if is_empty else band.low))
        high = self._constant("unsure/high", np.float32(band.high))
        self._add("GreaterOrEqual", ["probability", low], "unsure/from_low")
        self._add("LessOrEqual", ["probability", high], "unsure/to_high")
        self._add("And", ["unsure/from_low", "unsure/to_high"], "unsure")

    def _distance(self, ood: Ood) -> None:
        limit = self._constant("distance/limit", np.float32(ood.limit))
        if isinstance(ood, OodGaussian):
            self._distance_to_mean(ood)
        else:
            self._distance_to_neighbours(ood)
        self._add("Greater", ["distance", limit], "unfamiliar")

    def _distance_to_neighbours(self, ood: OodReference) -> None:
        from onnx import TensorProto

        half = self._constant("distance/references", np.ascontiguousarray(ood.references.T))
        shortest = self._constant("distance/shortest", np.float32(1e-12))
        neighbours = self._constant("distance/neighbours", np.array([ood.neighbours], np.int64))
        last = self._constant("distance/last", np.array(ood.neighbours - 1, np.int64))
        one = self._constant("distance/one", np.float32(1))
        self._add("Cast", [half], "distance/directions", to=TensorProto.FLOAT)
        vector = self._vector(ood.tensor)
        self._add("ReduceL2", [vector], "distance/length", axes=[1], keepdims=1)
        self._add("Max", ["distance/length", shortest], "distance/safe_length")
        self._add("Div", [vector, "distance/safe_length"], "distance/direction")
        self._add("MatMul", ["distance/direction", "distance/directions"], "distance/similarities")
        self._add_many("TopK", ["distance/similarities", neighbours], ["distance/nearest", "distance/which"], axis=1)
        self._add("Gather", ["distance/nearest", last], "distance/similarity", axis=1)
        self._add("Sub", [one, "distance/similarity"], "distance")

    def _distance_to_mean(self, ood: OodGaussian) -> None:
        mean = self._constant("distance/mean", ood.mean)
        whitening = self._constant("distance/whitening", ood.whitening)
        first = self._constant("distance/first", np.array(0, np.int64))
        one, two = self._constant("distance/one", np.float32(1)), self._constant("distance/two", np.float32(2))
        self._add("Sub", [self._vector(ood.tensor), mean], "distance/centred")
        self._add("MatMul", ["distance/centred", whitening], "distance/white")
        self._add("ReduceL2", ["distance/white"], "distance/lengths", axes=[1], keepdims=1)
        self._add("Gather", ["distance/lengths", first], "distance/length", axis=1)
        self._add("Mul", ["distance/length", "distance/length"], "distance/squared")
        self._add("Add", ["distance/squared", one], "distance/more")
        self._add("Div", ["distance/squared", "distance/more"], "distance/half")
        self._add("Mul", ["distance/half", two], "distance")

    def _vector(self, tensor: str) -> str:
        """Add the vector of the distance: pooled activations (see `pool_activations`), or the embedding."""
        if tensor == EMBEDDING:
            return tensor
        self._add("Abs", [tensor], "distance/strengths")
        self._add("ReduceMean", ["distance/strengths"], "distance/vector", axes=[2, 3], keepdims=0)
        return "distance/vector"

    def _declare_outputs(self) -> None:
        from onnx import TensorProto, helper

        types = dict.fromkeys(("unsure", "unfamiliar"), TensorProto.BOOL)
        del self._graph.output[:]
        self._graph.output.extend(
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), ["N", *shape])
            for name, shape in output_shapes(self._side * TOTAL_STRIDE).items()
        )

    def _constant(self, name: str, value: NDArray[Any] | np.float32) -> str:
        from onnx import numpy_helper

        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._add_many(operator, inputs, [output], **attributes)

    def _add_many(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        from onnx import helper

        self._graph.node.append(helper.make_node(operator, inputs, outputs, name=outputs[0], **attributes))
