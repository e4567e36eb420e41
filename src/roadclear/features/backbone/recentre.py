"""The same network with other biases: what is rounded to bfloat16 lies nearer to zero.

A linear bottleneck gives channels whose means are large beside their spread. Bfloat16 keeps 8 bits of a number, and
most of them go to the mean. Here the mean of such a channel is subtracted from the bias of the layer that gives the
channel. The biases of the layers that read the channel take the mean back in. In exact arithmetic the function of the
network is unchanged. The layers that read are 1x1 convolutions, so that no padding sees the difference.

The idea is the bias absorption of Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", arXiv:1906.04721, section 4.1.3, for layers without ReLU.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadclear.features.backbone.mobilenetv2 import (
    BLOCKS,
    EMBEDDING,
    FINAL,
    STEM,
    Convolution,
    block_output,
)
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution

Values = NDArray[np.float64]

_GREY = 128


def recentred(weights: BackboneWeights, output: str = EMBEDDING) -> BackboneWeights:
    """Move the means of linear bottlenecks into the biases of the layers that read them.

    The means are those of an even grey photo without its edges. In float32 the embeddings differ by less than 1e-5 of
    their length, because sums are rounded otherwise.

    Args:
        weights: weights of the backbone.
        output: name of the tensor that is taken out of the network, as `roadclear.features.backbone.graph.build_trunk`
            has it: this tensor keeps its values.
    """
    changed = dict(weights.convolutions)

    def add_to_bias(convolution: Convolution, change: Values) -> None:
        folded = changed[convolution.name]
        changed[convolution.name] = FoldedConvolution(folded.kernel, (folded.bias + change).astype(np.float32))

    values = _through(STEM, _normalised_grey(weights), weights)
    shift = np.zeros(0)  # what has been subtracted from the tensor between the blocks
    for block in BLOCKS:
        inside = values
        for convolution in block.convolutions:
            inside = _through(convolution, inside, weights)
        values = values + inside if block.shortcut else inside
        if block.index > 0:  # block 0 has no layer that reads a bottleneck
            add_to_bias(block.convolutions[0], _kernel(block.convolutions[0], weights) @ shift)
        left = values if block_output(block.index) != output else np.zeros_like(values)
        add_to_bias(block.convolutions[-1], shift - left if block.shortcut else -left)
        shift = left
    add_to_bias(FINAL, _kernel(FINAL, weights) @ shift)
    return replace(weights, convolutions=changed)


def _normalised_grey(weights: BackboneWeights) -> Values:
    """One value a colour, as the stem reads an even grey photo."""
    preprocessing = weights.preprocessing
    return np.asarray((_GREY / 255 - np.array(preprocessing.mean)) / np.array(preprocessing.std))


def _through(convolution: Convolution, values: Values, weights: BackboneWeights) -> Values:
    """Apply a convolution to an even picture, given and returned as one value a channel."""
    kernel = _kernel(convolution, weights)
    products = kernel[:, 0] * values if convolution.groups > 1 else kernel @ values
    linear = products + weights.convolutions[convolution.name].bias
    return np.clip(linear, 0, 6) if convolution.relu6 else np.asarray(linear)


def _kernel(convolution: Convolution, weights: BackboneWeights) -> Values:
    """Sum a kernel over its places: [out, in / groups]."""
    return np.asarray(weights.convolutions[convolution.name].kernel.sum(axis=(2, 3), dtype=np.float64))
