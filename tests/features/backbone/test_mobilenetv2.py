"""The architecture, against the paper's own figures (arXiv:1801.04381, Table 2 and section 6.1)."""

import math

import pytest

from roadclear.errors import OptionError
from roadclear.features.backbone.mobilenetv2 import BLOCKS, FINAL, STEM, block_output, convolutions

# One entry a block: input channels, hidden channels, output channels, stride, shortcut.
BLOCK_FIGURES = [
    (32, 32, 16, 1, False),
    (16, 96, 24, 2, False),
    (24, 144, 24, 1, True),
    (24, 144, 32, 2, False),
    (32, 192, 32, 1, True),
    (32, 192, 32, 1, True),
    (32, 192, 64, 2, False),
    (64, 384, 64, 1, True),
    (64, 384, 64, 1, True),
    (64, 384, 64, 1, True),
    (64, 384, 96, 1, False),
    (96, 576, 96, 1, True),
    (96, 576, 96, 1, True),
    (96, 576, 160, 2, False),
    (160, 960, 160, 1, True),
    (160, 960, 160, 1, True),
    (160, 960, 320, 1, False),
]


@pytest.mark.parametrize(("index", "figures"), list(enumerate(BLOCK_FIGURES)))
def test_block(index: int, figures: tuple[int, int, int, int, bool]) -> None:
    inputs, hidden, outputs, stride, shortcut = figures
    block = BLOCKS[index]
    *expand, depthwise, project = block.convolutions

    assert block.index == index
    assert block.shortcut == shortcut
    assert [c.kernel_shape for c in expand] == ([] if hidden == inputs else [(hidden, inputs, 1, 1)])
    assert (depthwise.kernel_shape, depthwise.groups, depthwise.stride) == ((hidden, 1, 3, 3), hidden, stride)
    assert (project.kernel_shape, project.groups, project.stride) == ((outputs, hidden, 1, 1), 1, 1)
    assert [c.relu6 for c in block.convolutions] == [True] * (len(block.convolutions) - 1) + [False]


def test_first_and_last_convolution() -> None:
    assert (STEM.kernel_shape, STEM.stride, STEM.relu6) == ((32, 3, 3, 3), 2, True)
    assert (FINAL.kernel_shape, FINAL.stride, FINAL.relu6) == ((1280, 320, 1, 1), 1, True)


def test_there_are_52_convolutions_with_names_of_their_own() -> None:
    assert len(convolutions()) == len({c.name for c in convolutions()}) == 52
    assert len(BLOCKS) == len(BLOCK_FIGURES)


def test_size_is_that_of_the_paper() -> None:
    """3.4 million parameters with the classifier, and 300 million multiply-adds at 224 pixels."""
    parameters = sum(math.prod(c.kernel_shape) + 2 * c.kernel_shape[0] for c in convolutions())
    assert parameters == 2_223_872
    assert 3.4e6 < parameters + 1280 * 1000 + 1000 < 3.51e6

    side, multiply_adds = 224, 0
    for convolution in convolutions():
        side //= convolution.stride
        multiply_adds += math.prod(convolution.kernel_shape) * side**2
    assert multiply_adds + 1280 * 1000 == pytest.approx(300e6, rel=0.01)


def test_block_outputs_have_predictable_names() -> None:
    assert [block_output(index) for index in (0, 7, 16)] == [
        "block_0/output",
        "block_7/output",
        "block_16/output",
    ]


@pytest.mark.parametrize("index", [-1, 17])
def test_a_block_that_is_not_there(index: int) -> None:
    with pytest.raises(OptionError, match=rf"0 to 16, found {index}"):
        block_output(index)
