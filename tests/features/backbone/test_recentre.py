"""Re-centred biases: the same function in float32, nearer to it in bfloat16."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import draw_scene

from roadclear.features.backbone.graph import build, build_trunk
from roadclear.features.backbone.mobilenetv2 import BLOCKS, STEM_OUTPUT, block_output
from roadclear.features.backbone.recentre import recentred
from roadclear.features.backbone.weights import BackboneWeights, load_weights
from roadclear.features.engine import has_native_bf16, open_engine

pytestmark = pytest.mark.slow

SIZE = 96


@pytest.fixture(scope="module")
def weights() -> BackboneWeights:
    return load_weights()


@pytest.fixture(scope="module")
def photos() -> list[NDArray[np.uint8]]:
    scenes = [np.asarray(draw_scene(n, figure=n % 2 == 0).resize((SIZE, SIZE))) for n in range(6)]
    return [*scenes, np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)]


def embeddings(weights: BackboneWeights, photos: list[NDArray[np.uint8]], precision: str) -> NDArray[np.float32]:
    engine = open_engine(build(weights, SIZE).SerializeToString(), ["embedding"], precision=precision)
    return np.stack([engine.infer(photo)["embedding"] for photo in photos])


def error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1))


def test_the_function_is_the_same_in_float32(weights: BackboneWeights, photos: list[NDArray[np.uint8]]) -> None:
    expected = embeddings(weights, photos, "f32")
    assert error(embeddings(recentred(weights), photos, "f32"), expected).max() < 1e-5


def test_only_biases_change_and_the_original_stays(weights: BackboneWeights) -> None:
    before = {name: convolution.bias.copy() for name, convolution in weights.convolutions.items()}
    changed = recentred(weights)
    for name, convolution in weights.convolutions.items():
        assert np.array_equal(convolution.bias, before[name])
        assert changed.convolutions[name].kernel is convolution.kernel
        moves = name.endswith("/project") or name == "final" or name.endswith("/expand")
        assert np.array_equal(changed.convolutions[name].bias, before[name]) != moves


@pytest.mark.parametrize("output", [STEM_OUTPUT, *(block_output(block.index) for block in BLOCKS)])
def test_a_tensor_that_is_taken_out_keeps_its_values(
    weights: BackboneWeights, photos: list[NDArray[np.uint8]], output: str
) -> None:
    plain, moved = (
        open_engine(build_trunk(one, output, SIZE).SerializeToString(), [output], "onnxruntime").infer(photos[0])
        for one in (weights, recentred(weights, output))
    )
    assert np.abs(plain[output] - moved[output]).max() < 1e-3


def test_bottlenecks_lie_around_zero(weights: BackboneWeights, photos: list[NDArray[np.uint8]]) -> None:
    """Block 0's channels have means of several times their spread; afterwards less than their spread."""
    ratios = []
    for one in (weights, recentred(weights)):
        engine = open_engine(build_trunk(one, block_output(0), SIZE).SerializeToString(), [block_output(0)])
        values = np.stack([engine.infer(photo)[block_output(0)] for photo in photos[:6]])
        ratios.append(np.abs(values.mean(axis=(0, 2, 3))).mean() / values.std(axis=(0, 2, 3)).mean())
    assert ratios[0] > 3 * ratios[1]


@pytest.mark.skipif(not has_native_bf16(), reason="this processor has no bfloat16")
def test_bfloat16_is_nearer_to_float32(weights: BackboneWeights, photos: list[NDArray[np.uint8]]) -> None:
    expected = embeddings(weights, photos[:6], "f32")
    as_it_is, moved = (error(embeddings(one, photos[:6], "bf16"), expected) for one in (weights, recentred(weights)))
    assert moved.mean() < as_it_is.mean() / 2
    assert moved.mean() < 0.06
