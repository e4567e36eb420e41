"""Layers of the network in PyTorch, each with its ReLU6, with gradients that are fast on processors.

Tensors are contiguous, and channels are their last axis.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadclear.features.backbone.sources import Padding

_Gradients = tuple[Tensor | None, ...]


def pointwise(tensor: Tensor, kernel: Tensor, bias: Tensor, relu6: bool) -> Tensor:
    """Compute a 1x1 convolution, which is one matrix product.

    Args:
        tensor: [n, side, side, inputs].
        kernel: [outputs, inputs, 1, 1], in the tensor's type.
        bias: [outputs], in the tensor's type.
        relu6: whether ReLU6 follows.

    Returns:
        [n, side, side, outputs].
    """
    rows = _apply(_Pointwise, tensor.flatten(0, 2), kernel.flatten(1), bias, relu6)
    return rows.view(*tensor.shape[:3], len(bias))


def depthwise(tensor: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: Padding) -> Tensor:
    """Convolve each channel with its own 3x3 kernel. ReLU6 follows.

    Args:
        tensor: [n, side, side, channels].
        kernel: [channels, 1, 3, 3], in the tensor's type.
        bias: [channels], in the tensor's type.
        stride: 1 or 2. With 2, the side is even.
        padding: padding of a convolution of stride 2.

    Returns:
        [n, side / stride, side / stride, channels].
    """
    planes, around = tensor.permute(0, 3, 1, 2), 1
    if stride == 2 and padding == "same_upper":
        planes, around = functional.pad(planes, (0, 1, 0, 1)), 0
    return _apply(_Depthwise, planes, kernel, bias, stride, around).permute(0, 2, 3, 1)


def average_places(tensor: Tensor) -> Tensor:
    """Average over both sides: float32 [n, channels] of [n, side, side, channels]."""
    return _apply(_Average, tensor.flatten(1, 2))


class _Pointwise(torch.autograd.Function):
    """Matrix product of [m, inputs] and [outputs, inputs], with ReLU6 in place."""

    @staticmethod
    def forward(context: Any, rows: Tensor, kernel: Tensor, bias: Tensor, relu6: bool) -> Tensor:
        output = torch.addmm(bias, rows, kernel.t())
        if relu6:
            output.clamp_(0, 6)
        context.save_for_backward(rows, kernel, output if relu6 else None)
        return output

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> _Gradients:
        rows, kernel, output = context.saved_tensors
        gradient = _through_relu6(gradients[0], output) if output is not None else gradients[0]
        of_rows = gradient @ kernel if context.needs_input_grad[0] else None
        return of_rows, gradient.t() @ rows, gradient.sum(0), None


class _Depthwise(torch.autograd.Function):
    """Depthwise 3x3 convolution of [n, channels, side, side], with ReLU6 in place.

    PyTorch has no fast bfloat16 gradient of the input for stride 2. The gradient is a transposed convolution: zeros
    between the gradients, then a convolution of stride 1 with the reversed kernel (Dumoulin and Visin 2016,
    arXiv:1603.07285, section 4.5).
    """

    @staticmethod
    def forward(context: Any, planes: Tensor, kernel: Tensor, bias: Tensor, stride: int, around: int) -> Tensor:
        output = functional.conv2d(planes, kernel, bias, stride, around, groups=len(bias)).clamp_(0, 6)
        context.save_for_backward(planes, kernel, output)
        context.stride, context.around = stride, around
        return output

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> _Gradients:
        planes, kernel, output = context.saved_tensors
        gradient = _through_relu6(gradients[0], output)
        stride, around, groups = context.stride, context.around, len(kernel)
        wanted = (stride == 1, True, True)
        of_planes, of_kernel, of_bias = torch.ops.aten.convolution_backward(
            gradient, planes, kernel, [groups], [stride] * 2, [around] * 2, [1, 1], False, [0, 0], groups, wanted
        )
        if stride == 2:
            height, width = planes.shape[2] - 2 + 2 * around, planes.shape[3] - 2 + 2 * around
            spread = gradient.new_zeros((len(gradient), height, width, groups)).permute(0, 3, 1, 2)
            spread[:, :, ::2, ::2] = gradient
            of_planes = functional.conv2d(spread, kernel.flip(2, 3), padding=2 - around, groups=groups)
        return of_planes, of_kernel, of_bias, None, None


class _Average(torch.autograd.Function):
    """Average of [n, places, channels] over places. All places have one gradient, in the type of the input."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        context.shape, context.type = tensor.shape, tensor.dtype
        return tensor.mean(1, dtype=torch.float32)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        gradient: Tensor = (gradients[0] / context.shape[1]).to(context.type)
        return gradient[:, None].expand(context.shape)


def _through_relu6(gradient: Tensor, output: Tensor) -> Tensor:
    changed: Tensor = torch.ops.aten.hardtanh_backward(gradient, output, 0, 6)
    return changed


def _apply(function: Any, *arguments: Any) -> Tensor:
    """Call a function with its own gradient. PyTorch declares no types for the call."""
    result: Tensor = function.apply(*arguments)
    return result
