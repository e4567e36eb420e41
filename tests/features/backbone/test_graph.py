"""The graph: its contract, and its numbers against a plain NumPy reading of the paper."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from roadclear.errors import OptionError
from roadclear.features.backbone.graph import build, build_trunk
from roadclear.features.backbone.mobilenetv2 import (
    BLOCKS,
    FINAL,
    STEM,
    STEM_OUTPUT,
    Convolution,
    block_output,
    convolutions,
    trunk_output,
)
from roadclear.features.backbone.sources import Padding, Preprocessing
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution, load_weights

ort = pytest.importorskip("onnxruntime", reason="running graphs needs roadclear[onnxruntime]")

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def imagenet() -> BackboneWeights:
    return load_weights()


def run(model: onnx.ModelProto, photos: NDArray[np.uint8], *outputs: str) -> list[Floats]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"photo": photos})  # type: ignore[no-any-return]


def photos(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def dimensions(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


class TestContract:
    @pytest.mark.parametrize("size", [32, 96, 224, 320])
    def test_is_valid_and_typed(self, size: int, imagenet: BackboneWeights) -> None:
        model = build(imagenet, size)
        onnx.checker.check_model(model, full_check=True)

        (photo,) = model.graph.input
        assert (photo.name, dimensions(photo)) == ("photo", ["N", size, size, 3])
        assert photo.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert [(out.name, dimensions(out), out.type.tensor_type.elem_type) for out in model.graph.output] == [
            ("embedding", ["N", 1280], onnx.TensorProto.FLOAT),
            ("feature_map", ["N", 1280, size // 32, size // 32], onnx.TensorProto.FLOAT),
        ]

    @pytest.mark.parametrize(
        ("size", "hint"), [(0, "try 32"), (-224, "try 32"), (31, "try 32"), (33, "try 32"), (300, "try 288")]
    )
    def test_a_size_that_cannot_be(self, size: int, hint: str, imagenet: BackboneWeights) -> None:
        with pytest.raises(OptionError, match=f"multiple of 32 .* found {size}: {hint}"):
            build(imagenet, size)

    def test_every_name_is_used_once(self, imagenet: BackboneWeights) -> None:
        graph = build(imagenet).graph
        tensors = [output for node in graph.node for output in node.output]
        assert len(set(tensors)) == len(tensors)
        assert [node.name for node in graph.node] == tensors

    def test_the_same_weights_make_the_same_bytes(self, imagenet: BackboneWeights) -> None:
        one, two = (build(imagenet).SerializeToString(deterministic=True) for _ in range(2))
        assert one == two

    def test_there_is_a_named_tensor_behind_every_block(self, imagenet: BackboneWeights) -> None:
        model = build(imagenet)
        names = [block_output(block.index) for block in BLOCKS]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        # Table 2: the side of each block's output, for photos of 224 pixels.
        sides = [112] + [56] * 2 + [28] * 3 + [14] * 7 + [7] * 4
        for block, side, activation in zip(BLOCKS, sides, run(model, photos(1, 224), *names), strict=True):
            assert activation.shape == (1, block.convolutions[-1].kernel_shape[0], side, side)

    @pytest.mark.parametrize("tensor", [STEM_OUTPUT, block_output(0), block_output(9), block_output(16)])
    @pytest.mark.parametrize("size", [96, 160])
    def test_the_trunk_gives_what_the_whole_network_has_there(
        self, tensor: str, size: int, imagenet: BackboneWeights
    ) -> None:
        whole, trunk = build(imagenet, size), build_trunk(imagenet, tensor, size)
        onnx.checker.check_model(trunk, full_check=True)
        whole.graph.output.append(onnx.ValueInfoProto(name=tensor))
        (expected,), (found,) = (run(model, photos(2, size), tensor) for model in (whole, trunk))
        (declared,) = trunk.graph.output
        assert dimensions(declared) == ["N", *found.shape[1:]]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

    @pytest.mark.parametrize(
        ("unfrozen", "tensor"),
        [(1, "block_15/output"), (7, "block_9/output"), (16, "block_0/output"), (17, "stem/output")],
    )
    def test_where_the_trunk_ends(self, unfrozen: int, tensor: str) -> None:
        assert trunk_output(unfrozen) == tensor

    @pytest.mark.parametrize("unfrozen", [-1, 0, 18])
    def test_a_number_of_blocks_that_cannot_be(self, unfrozen: int) -> None:
        with pytest.raises(OptionError, match=f"must be 1 to 17, found {unfrozen}"):
            trunk_output(unfrozen)

    @pytest.mark.parametrize("name", ["block_17/output", "feature_map", ""])
    def test_a_trunk_up_to_what_is_not_there(self, name: str, imagenet: BackboneWeights) -> None:
        with pytest.raises(OptionError, match=f"found '{name}'"):
            build_trunk(imagenet, name)

    def test_the_graph_can_be_cut_behind_a_block(self, imagenet: BackboneWeights, tmp_path: Path) -> None:
        """The two parts, one after the other, are the whole."""
        whole, cut = build(imagenet, 96), block_output(6)
        source, trunk, top = (tmp_path / f"{name}.onnx" for name in ("whole", "trunk", "top"))
        onnx.save(whole, source)
        onnx.utils.extract_model(source, trunk, ["photo"], [cut])
        onnx.utils.extract_model(source, top, [cut], ["embedding"])

        (activation,) = run(onnx.load(trunk), photos(2, 96), cut)
        session = ort.InferenceSession(top, providers=["CPUExecutionProvider"])
        (embedding,) = session.run(["embedding"], {cut: activation})
        np.testing.assert_allclose(embedding, run(whole, photos(2, 96), "embedding")[0], atol=1e-5)


class TestNumbers:
    @pytest.mark.parametrize("size", [32, 224])
    def test_the_embedding_is_the_mean_of_the_feature_map(self, size: int, imagenet: BackboneWeights) -> None:
        embedding, feature_map = run(build(imagenet, size), photos(3, size), "embedding", "feature_map")
        np.testing.assert_allclose(embedding, feature_map.mean(axis=(2, 3)), rtol=1e-6, atol=1e-6)
        assert feature_map.min() == 0
        assert feature_map.max() <= 6

    def test_a_photo_does_not_depend_on_its_batch(self, imagenet: BackboneWeights) -> None:
        model = build(imagenet, 96)
        (together,) = run(model, photos(4, 96), "embedding")
        alone = [run(model, photo[None], "embedding")[0] for photo in photos(4, 96)]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("size", [32, 64])
    @pytest.mark.parametrize("padding", ["symmetric", "same_upper"])
    def test_agrees_with_the_paper_in_numpy(self, padding: Padding, size: int) -> None:
        weights = random_weights(padding)
        embedding, feature_map = run(build(weights, size), photos(2, size), "embedding", "feature_map")
        expected = np.stack([reference(weights, photo) for photo in photos(2, size)])

        assert feature_map.std() > 0.1
        np.testing.assert_allclose(feature_map, expected, rtol=1e-4, atol=1e-4 * expected.max())
        np.testing.assert_allclose(embedding, expected.mean(axis=(2, 3)), rtol=1e-4, atol=1e-4)


def random_weights(padding: Padding) -> BackboneWeights:
    rng = np.random.default_rng(1)

    def folded(convolution: Convolution) -> FoldedConvolution:
        fan_in = np.prod(convolution.kernel_shape[1:])
        kernel = rng.normal(0, np.sqrt(2 / fan_in), convolution.kernel_shape).astype(np.float32)
        return FoldedConvolution(kernel, rng.normal(0, 0.2, kernel.shape[0]).astype(np.float32))

    return BackboneWeights(
        name="random",
        sha256="",
        origin="drawn for a test",
        preprocessing=Preprocessing(mean=(0.2, 0.5, 0.7), std=(0.3, 0.2, 0.5)),
        padding=padding,
        convolutions={c.name: folded(c) for c in convolutions()},
    )


def reference(weights: BackboneWeights, photo: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The feature map of one photo, ``[1280, places, places]``, straight from the paper."""

    def convolve(convolution: Convolution, x: NDArray[np.float64]) -> NDArray[np.float64]:
        folded = weights.convolutions[convolution.name]
        side = convolution.kernel_shape[-1]
        before = 0 if weights.padding == "same_upper" and convolution.stride == 2 else side // 2
        padded = np.pad(x, ((0, 0), (before, side // 2), (before, side // 2)))
        step = convolution.stride
        windows = sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::step, ::step]
        if convolution.groups == 1:
            y = np.einsum("oikl,ihwkl->ohw", folded.kernel, windows)
        else:
            y = np.einsum("okl,ohwkl->ohw", folded.kernel[:, 0], windows)
        y = y + folded.bias[:, None, None]
        return np.clip(y, 0, 6) if convolution.relu6 else y

    mean, std = weights.preprocessing.mean, weights.preprocessing.std
    x = convolve(STEM, ((photo / 255 - mean) / std).transpose(2, 0, 1))
    for block in BLOCKS:
        y = x
        for convolution in block.convolutions:
            y = convolve(convolution, y)
        x = x + y if block.shortcut else y
    return convolve(FINAL, x)
