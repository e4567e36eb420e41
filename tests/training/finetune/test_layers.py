"""The layers and their gradients are those of PyTorch's convolutions, in single precision and in bfloat16."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="fine-tuning needs roadclear[finetune]")

from torch.nn import functional  # noqa: E402

from roadclear.features.backbone.sources import Padding  # noqa: E402
from roadclear.training.finetune.layers import average_places, depthwise, pointwise  # noqa: E402

Layer = Callable[..., torch.Tensor]


def drawn(*shape: int) -> torch.Tensor:
    """Values of which ReLU6 cuts some off at either end."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator) * 2 + 1


def plain_pointwise(tensor: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, relu6: bool) -> torch.Tensor:
    output = functional.conv2d(tensor.permute(0, 3, 1, 2), kernel, bias).permute(0, 2, 3, 1)
    return functional.relu6(output) if relu6 else output


def plain_depthwise(
    tensor: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor, stride: int, padding: Padding
) -> torch.Tensor:
    around = (0, 1, 0, 1) if stride == 2 and padding == "same_upper" else (1, 1, 1, 1)
    planes = functional.pad(tensor.permute(0, 3, 1, 2), around)
    return functional.relu6(functional.conv2d(planes, kernel, bias, stride, groups=len(bias))).permute(0, 2, 3, 1)


def with_gradients(layer: Layer, inputs: tuple[torch.Tensor, ...], options: tuple[object, ...]) -> list[torch.Tensor]:
    """Output, and the gradients of a weighted sum of the output."""
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    output = layer(*leaves, *options)
    weights = drawn(*output.shape).to(output.dtype)
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), leaves)]


def assert_same(layer: Layer, plain: Layer, inputs: tuple[torch.Tensor, ...], *options: object) -> None:
    """The same as in float64, to rounding. In bfloat16 ReLU6 cuts off a few other values: the directions are near."""
    exact = with_gradients(plain, tuple(value.double() for value in inputs), options)
    for number_type, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 0.2)):
        found = with_gradients(layer, tuple(value.to(number_type) for value in inputs), options)
        for value, expected in zip(found, exact, strict=True):
            assert value.shape == expected.shape
            assert value.dtype == number_type
            assert torch.linalg.vector_norm(value.double() - expected) <= tolerance * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize("relu6", [True, False])
def test_a_1x1_convolution_is_a_matrix_product(relu6: bool) -> None:
    inputs = tuple(value.bfloat16() for value in (drawn(3, 4, 4, 8), drawn(16, 8, 1, 1) / 8, drawn(16)))
    assert_same(pointwise, plain_pointwise, inputs, relu6)


@pytest.mark.parametrize("padding", ["symmetric", "same_upper"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [2, 6, 14])
def test_a_depthwise_convolution(side: int, stride: int, padding: Padding) -> None:
    inputs = tuple(value.bfloat16() for value in (drawn(2, side, side, 16), drawn(16, 1, 3, 3) / 3, drawn(16)))
    assert_same(depthwise, plain_depthwise, inputs, stride, padding)


def test_the_average_is_single_precision() -> None:
    tensor = drawn(2, 7, 7, 16).bfloat16()
    assert average_places(tensor).dtype == torch.float32
    found, gradient = with_gradients(average_places, (tensor,), ())
    expected, of_expected = with_gradients(lambda value: value.mean((1, 2)), (tensor.float(),), ())
    torch.testing.assert_close(found, expected)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), of_expected, rtol=0.01, atol=0)


def test_frozen_inputs_get_no_gradient() -> None:
    tensor, kernel = drawn(1, 2, 2, 4), drawn(8, 4, 1, 1).requires_grad_()
    pointwise(tensor, kernel, drawn(8), True).sum().backward()
    assert tensor.grad is None
    assert kernel.grad is not None
