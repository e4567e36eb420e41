"""Architecture of MobileNetV2, width 1.0, as data: the convolutions, their order and their names.

Source: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381,
Table 1 (one block) and Table 2 (the network). The classifier after the last 1x1 convolution is left out.

Convolution names, in order: ``stem``; ``block_<k>/expand`` (not in block 0), ``block_<k>/depthwise`` and
``block_<k>/project`` for k in 0..16; ``final``. Every convolution is followed by BatchNorm, and by ReLU6
unless it is a linear bottleneck (``project``).
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from roadclear.errors import OptionError

# Table 2, the bottlenecks: expansion factor t, output channels c, repeats n, stride s of the first repeat.
_BOTTLENECK_ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32

EMBEDDING_CHANNELS = 1280
"""Number of channels of the feature map, and length of an embedding."""

TOTAL_STRIDE = 32
"""Pixels of the photo per cell of the feature map, along either axis."""

EMBEDDING = "embedding"
"""Name of the embedding: the network's output, the spatial mean of the feature map."""

STEM_OUTPUT = "stem/output"
"""Name of the stem's output tensor."""


@dataclass(frozen=True)
class Convolution:
    """One convolution with BatchNorm.

    Attributes:
        name: name, as listed in the module's docstring.
        kernel_shape: ``(out channels, in channels / groups, k, k)``.
        groups: number of groups: 1, or the number of channels of a depthwise convolution.
        stride: stride along both axes, 1 or 2.
        relu6: whether ReLU6 follows.
    """

    name: str
    kernel_shape: tuple[int, int, int, int]
    groups: int
    stride: int
    relu6: bool


@dataclass(frozen=True)
class InvertedResidual:
    """One block: expand (1x1), depthwise (3x3), project (1x1, linear); Table 1 of the paper.

    Attributes:
        index: number of the block, 0 to 16.
        convolutions: convolutions in order. Block 0 has two (its expansion factor is 1), every other block three.
        shortcut: whether the block's input is added to its output.
    """

    index: int
    convolutions: tuple[Convolution, ...]
    shortcut: bool


def _pointwise(name: str, inputs: int, outputs: int, relu6: bool) -> Convolution:
    return Convolution(name, (outputs, inputs, 1, 1), groups=1, stride=1, relu6=relu6)


def _block(index: int, inputs: int, outputs: int, expansion: int, stride: int) -> InvertedResidual:
    hidden = inputs * expansion
    name = f"block_{index}"
    expand = _pointwise(f"{name}/expand", inputs, hidden, relu6=True)
    depthwise = Convolution(f"{name}/depthwise", (hidden, 1, 3, 3), groups=hidden, stride=stride, relu6=True)
    project = _pointwise(f"{name}/project", hidden, outputs, relu6=False)
    convolutions = (depthwise, project) if expansion == 1 else (expand, depthwise, project)
    return InvertedResidual(index, convolutions, shortcut=stride == 1 and inputs == outputs)


def _blocks() -> tuple[InvertedResidual, ...]:
    layers = [
        (expansion, outputs, stride if repeat == 0 else 1)
        for expansion, outputs, repeats, stride in _BOTTLENECK_ROWS
        for repeat in range(repeats)
    ]
    widths = [_STEM_CHANNELS, *(outputs for _, outputs, _ in layers)]
    return tuple(
        _block(index, inputs, outputs, expansion, stride)
        for index, ((inputs, outputs), (expansion, _, stride)) in enumerate(zip(pairwise(widths), layers, strict=True))
    )


STEM = Convolution("stem", (_STEM_CHANNELS, 3, 3, 3), groups=1, stride=2, relu6=True)
BLOCKS = _blocks()
FINAL = _pointwise("final", _BOTTLENECK_ROWS[-1][1], EMBEDDING_CHANNELS, relu6=True)


@cache
def convolutions() -> tuple[Convolution, ...]:
    """List all 52 convolutions, from the photo to the feature map."""
    return (STEM, *(convolution for block in BLOCKS for convolution in block.convolutions), FINAL)


def block_output(index: int) -> str:
    """Name the output tensor of inverted residual `index` (0 to 16), at which the graph can be cut.

    Raises:
        OptionError: the index is outside 0 to 16.
    """
    if not 0 <= index < len(BLOCKS):
        raise OptionError(f"block must be 0 to {len(BLOCKS) - 1}, found {index}: choose one of these")
    return f"block_{index}/output"


def trunk_output(unfrozen: int) -> str:
    """Name the input tensor of the last `unfrozen` (1 to 17) inverted residuals.

    Raises:
        OptionError: the number is outside 1 to 17.
    """
    if not 1 <= unfrozen <= len(BLOCKS):
        raise OptionError(f"unfrozen blocks must be 1 to {len(BLOCKS)}, found {unfrozen}: choose one of these")
    below = len(BLOCKS) - unfrozen
    return block_output(below - 1) if below else STEM_OUTPUT


def tensor_shape(name: str, size: int) -> tuple[int, ...]:
    """Compute the shape of a named tensor for one photo.

    Args:
        name: name of the embedding, or of the output of the stem or an inverted residual.
        size: side of the square photo, in pixels.

    Raises:
        OptionError: the name is unknown.

    Returns:
        [1280] for the embedding, else [channels, side, side].
    """
    if name == EMBEDDING:
        return (EMBEDDING_CHANNELS,)
    channels, side = STEM.kernel_shape[0], size // STEM.stride
    if name == STEM_OUTPUT:
        return (channels, side, side)
    for block in BLOCKS:
        channels = block.convolutions[-1].kernel_shape[0]
        side //= block.convolutions[-2].stride
        if name == block_output(block.index):
            return (channels, side, side)
    raise OptionError(f"expected the name of an embedding, stem or block tensor, found {name!r}: see block_output")
