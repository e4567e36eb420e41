"""The top in PyTorch is the top of the model file: before training, and after it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

REASON = "fine-tuning needs roadclear[finetune,onnxruntime]"
torch = pytest.importorskip("torch", reason=REASON)
ort = pytest.importorskip("onnxruntime", reason=REASON)

from heads import KINDS, drawn_familiarity, drawn_head, drawn_model  # noqa: E402
from tops import CPU, RECIPE, SIZE, drawn_photos, imagenet, small_head  # noqa: E402

from roadclear.features.backbone.graph import build_trunk  # noqa: E402
from roadclear.features.backbone.mobilenetv2 import convolutions, trunk_output  # noqa: E402
from roadclear.features.backbone.sources import Padding  # noqa: E402
from roadclear.features.backbone.weights import BackboneWeights  # noqa: E402
from roadclear.model.heads import Head  # noqa: E402
from roadclear.model.metadata import read_facts  # noqa: E402
from roadclear.model.onnx_file import build_model_file  # noqa: E402
from roadclear.training.finetune.network import TrainableTop  # noqa: E402
from roadclear.training.finetune.trainer import Network, fine_tune  # noqa: E402

Floats = NDArray[np.float32]

PHOTOS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
OUTPUTS = ("logit", "embedding", "heatmap", "offset")


def run(model: bytes, *outputs: str) -> list[Floats]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"photo": PHOTOS})  # type: ignore[no-any-return]


def in_pytorch(weights: BackboneWeights, head: Head, unfrozen: int) -> tuple[Floats, Floats]:
    """Logits and embeddings, from the trunk's activations in single precision."""
    tensor = trunk_output(unfrozen)
    (activations,) = run(build_trunk(weights, tensor, SIZE).SerializeToString(), tensor)
    top = TrainableTop(unfrozen, weights.padding, type(head))
    parameters = top.parameters(weights, head, CPU)
    with torch.no_grad():
        embeddings = top.embed(parameters, torch.from_numpy(activations))
        return top.logits(parameters, embeddings).numpy(), embeddings.numpy()


def in_model_file(weights: BackboneWeights, head: Head, kind: str) -> list[Floats]:
    facts = replace(read_facts(drawn_model(kind, SIZE)), weights_origin=weights.origin)
    return run(build_model_file(weights, head, drawn_familiarity(), facts), *OUTPUTS)


def assert_same(weights: BackboneWeights, head: Head, kind: str, unfrozen: int) -> None:
    """To 1e-4 of what there is; and the heatmap still splits the logit exactly."""
    logit, embedding, heatmap, offset = in_model_file(weights, head, kind)
    logits, embeddings = in_pytorch(weights, head, unfrozen)
    np.testing.assert_allclose(logits, logit, rtol=0, atol=1e-4 * max(1, np.abs(logit).max()))
    np.testing.assert_allclose(embeddings, embedding, rtol=0, atol=1e-4 * np.abs(embedding).max())
    terms = np.abs(heatmap).sum((1, 2)) + np.abs(offset)
    assert (np.abs(heatmap.sum((1, 2), dtype=np.float64) + offset - logit) <= 2e-5 * (1 + terms)).all()


@pytest.mark.parametrize(
    ("unfrozen", "padding", "kind"),
    [
        (1, "symmetric", "dense"),
        (4, "symmetric", "dense"),
        (4, "same_upper", "linear"),
        (17, "symmetric", "linear"),
        (17, "same_upper", "dense"),
    ],
)
def test_untouched_weights(unfrozen: int, padding: Padding, kind: str) -> None:
    assert_same(replace(imagenet(), padding=padding), drawn_head(kind), kind, unfrozen)


@pytest.mark.slow
@pytest.mark.parametrize(("unfrozen", "kind"), [(1, "dense"), (4, "dense"), (17, "dense"), (2, "linear")])
def test_trained_weights(unfrozen: int, kind: str) -> None:
    before = imagenet()
    recipe = replace(RECIPE, epochs=2)
    photos = drawn_photos(16, unfrozen)
    tuned = fine_tune(Network(before, small_head(kind), unfrozen, CPU), photos, photos, recipe)
    moved = [np.abs(new.kernel - old.kernel).max() for new, old in pairs(tuned.weights, before, unfrozen)]
    assert min(moved) > 1e-5
    assert_same(tuned.weights, tuned.trained.head, kind, unfrozen)


def pairs(tuned: BackboneWeights, before: BackboneWeights, unfrozen: int) -> list[tuple[object, object]]:
    """Convolutions that train, new and old."""
    inside = (*(f"block_{index}/" for index in range(17 - unfrozen, 17)), "final")
    return [
        (tuned.convolutions[c.name], before.convolutions[c.name]) for c in convolutions() if c.name.startswith(inside)
    ]


class TestWeights:
    def test_what_lies_below_is_untouched(self) -> None:
        before = imagenet()
        top = TrainableTop(3, before.padding, type(drawn_head("dense")))
        parameters = top.parameters(before, drawn_head("dense"), CPU)
        after = top.weights({name: value + 1 for name, value in parameters.items()}, before)
        changed = [name for name in before.convolutions if after.convolutions[name] is not before.convolutions[name]]
        assert changed == [
            *(f"block_{index}/{part}" for index in (14, 15, 16) for part in ("expand", "depthwise", "project")),
            "final",
        ]
        for name in changed:
            assert (after.convolutions[name].kernel == before.convolutions[name].kernel + 1).all()

    def test_they_say_where_they_are_from_and_are_not_taken_for_the_file_s(self) -> None:
        before = imagenet()
        top = TrainableTop(3, before.padding, type(drawn_head("dense")))
        parameters = top.parameters(before, drawn_head("dense"), CPU)
        same, other = (
            top.weights({name: value + change for name, value in parameters.items()}, before) for change in (0, 1)
        )
        assert len({before.sha256, same.sha256, other.sha256}) == 3
        assert same.name == "imagenet-finetuned"
        assert same.origin == (
            f"fine-tuned from {before.origin}, SHA-256 {before.sha256}: the last convolution and the last 3 of 17 "
            "inverted residuals"
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_head_comes_out_as_it_went_in(self, kind: str) -> None:
        head = drawn_head(kind)
        top = TrainableTop(1, "symmetric", type(head))
        again = top.head(top.parameters(imagenet(), head, CPU))
        for name, value in vars(head).items():
            found = getattr(again, name)
            assert (type(found), found.dtype) == (type(value), value.dtype)
            np.testing.assert_array_equal(found, value)

    def test_what_lies_deeper_has_more_blocks_above_it(self) -> None:
        top = TrainableTop(3, "symmetric", type(drawn_head("dense")))
        names = (
            "head/hidden_bias",
            "final/kernel",
            "block_16/project/bias",
            "block_15/expand/kernel",
            "block_14/depthwise/bias",
        )
        assert [top.depth(name) for name in names] == [0, 0, 0, 1, 2]


class TestHalfTheBits:
    """bfloat16 has 8 bits of precision: what it computes is near what float32 computes, gradients included."""

    @staticmethod
    def gradients(unfrozen: int, computed_in: torch.dtype) -> dict[str, Floats]:
        weights, head = imagenet(), small_head()
        top = TrainableTop(unfrozen, weights.padding, type(head))
        parameters = {name: value.requires_grad_() for name, value in top.parameters(weights, head, CPU).items()}
        photos = drawn_photos(8, unfrozen)
        numbers = np.arange(8)
        activations = torch.from_numpy(photos.activations(numbers, 0 * numbers)).to(computed_in)
        logits = top.logits(parameters, top.embed(parameters, activations))
        assert logits.dtype == torch.float32
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(photos.targets).float())
        found = torch.autograd.grad(loss, list(parameters.values()))
        return dict(zip(parameters, (gradient.numpy() for gradient in found), strict=True))

    def test_gradients_point_the_same_way(self) -> None:
        """Through a block of stride 2 as well; and they are kept in single precision, as the parameters are."""
        fine, coarse = (self.gradients(4, computed_in) for computed_in in (torch.float32, torch.bfloat16))
        for name in fine:
            assert coarse[name].dtype == np.float32
            cosine = np.sum(fine[name] * coarse[name]) / (np.linalg.norm(fine[name]) * np.linalg.norm(coarse[name]))
            assert cosine > 0.98, (name, cosine)
