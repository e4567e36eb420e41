"""Top of the network in PyTorch: the last inverted residuals, the last convolution, pooling and the head.

The parameters are the parameters of the model file. Every BatchNorm is folded into its convolution, which is the same
function as BatchNorm in inference mode. Parameters live in a dictionary by name, so that copies (the best epoch, a
checkpoint) are plain values.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from roadclear.features.backbone.mobilenetv2 import BLOCKS, FINAL, Convolution, InvertedResidual
from roadclear.features.backbone.sources import Padding
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution
from roadclear.model.heads import DenseHead, Head, LinearHead
from roadclear.training.finetune.layers import average_places, depthwise, pointwise

Parameters = dict[str, Tensor]

TUNED = "-finetuned"
"""End of the name of fine-tuned weights."""

_HEAD = "head/"


class TrainableTop:
    """The trainable layers: a function of parameters and of the activations that enter the first block.

    Args:
        unfrozen: number of inverted residuals, 1 to 17.
        padding: padding of the convolutions of stride 2.
        head: class of the head.
    """

    def __init__(self, unfrozen: int, padding: Padding, head: type[Head]) -> None:
        self._blocks = BLOCKS[len(BLOCKS) - unfrozen :]
        self._padding = padding
        self._head = head
        self._convolutions = (*(c for block in self._blocks for c in block.convolutions), FINAL)
        self._depths = {c.name: BLOCKS[-1].index - block.index for block in self._blocks for c in block.convolutions}

    def parameters(self, weights: BackboneWeights, head: Head, device: torch.device) -> Parameters:
        """Copy the parameters from `weights` and `head`, float32, with kernels in channels-last order."""
        values: dict[str, NDArray[np.float32]] = {}
        for convolution in self._convolutions:
            folded = weights.convolutions[convolution.name]
            values[f"{convolution.name}/kernel"] = folded.kernel
            values[f"{convolution.name}/bias"] = folded.bias
        values |= {f"{_HEAD}{field.name}": np.asarray(getattr(head, field.name)) for field in fields(head)}
        return {name: to_device(torch.tensor(value), device) for name, value in values.items()}

    def depth(self, name: str) -> int:
        """Count the inverted residuals above a parameter."""
        return self._depths.get(name.rpartition("/")[0], 0)

    def embed(self, parameters: Parameters, activations: Tensor) -> Tensor:
        """Compute embeddings, float32 [n, 1280], of activations [n, channels, side, side], in the activations' type."""
        tensor = activations.permute(0, 2, 3, 1).contiguous()
        for block in self._blocks:
            tensor = self._inverted_residual(parameters, block, tensor)
        return average_places(self._convolve(parameters, FINAL, tensor))

    def logits(self, parameters: Parameters, embeddings: Tensor) -> Tensor:
        """Compute log-odds of the positive class, [n], of embeddings [n, 1280]."""
        head = {name.removeprefix(_HEAD): value for name, value in parameters.items() if _is_of_head(name)}
        if self._head is LinearHead:
            return embeddings @ head["kernel"] + head["bias"]
        hidden = functional.relu(embeddings @ head["hidden_kernel"] + head["hidden_bias"])
        return hidden @ head["output_kernel"] + head["output_bias"]

    def head(self, parameters: Parameters) -> Head:
        """Make the head of the parameters."""
        values = {name.removeprefix(_HEAD): to_numpy(value) for name, value in parameters.items() if _is_of_head(name)}
        if self._head is LinearHead:
            return LinearHead(values["kernel"], np.float32(values["bias"]))
        return DenseHead(
            values["hidden_kernel"], values["hidden_bias"], values["output_kernel"], np.float32(values["output_bias"])
        )

    def weights(self, parameters: Parameters, before: BackboneWeights) -> BackboneWeights:
        """Make backbone weights with the parameters in place of the trained convolutions of `before`."""
        tuned = {
            convolution.name: FoldedConvolution(
                to_numpy(parameters[f"{convolution.name}/kernel"]), to_numpy(parameters[f"{convolution.name}/bias"])
            )
            for convolution in self._convolutions
        }
        return replace(
            before,
            name=f"{before.name.removesuffix(TUNED)}{TUNED}",
            sha256=_digest(before, tuned),
            origin=(
                f"fine-tuned from {before.origin}, SHA-256 {before.sha256}: the last convolution and the last "
                f"{len(self._blocks)} of {len(BLOCKS)} inverted residuals"
            ),
            convolutions={**before.convolutions, **tuned},
        )

    def _inverted_residual(self, parameters: Parameters, block: InvertedResidual, tensor: Tensor) -> Tensor:
        inside = tensor
        for convolution in block.convolutions:
            inside = self._convolve(parameters, convolution, inside)
        return tensor + inside if block.shortcut else inside

    def _convolve(self, parameters: Parameters, convolution: Convolution, tensor: Tensor) -> Tensor:
        kernel, bias = (parameters[f"{convolution.name}/{part}"].to(tensor.dtype) for part in ("kernel", "bias"))
        if convolution.groups == 1:
            return pointwise(tensor, kernel, bias, convolution.relu6)
        return depthwise(tensor, kernel, bias, convolution.stride, self._padding)


def _is_of_head(name: str) -> bool:
    """Whether a parameter belongs to the head."""
    return name.startswith(_HEAD)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor to the device. Four axes get channels-last order, in which convolutions are faster."""
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(device, memory_format=layout)


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Copy a tensor to an array."""
    return np.array(tensor.detach().cpu().contiguous().numpy())


def _digest(before: BackboneWeights, tuned: Mapping[str, FoldedConvolution]) -> str:
    """Compute the SHA-256 of the tuned values and of the source file's SHA-256."""
    digest = hashlib.sha256(before.sha256.encode())
    for name, folded in tuned.items():
        digest.update(name.encode() + folded.kernel.tobytes() + folded.bias.tobytes())
    return digest.hexdigest()
