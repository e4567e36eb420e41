"""The artifact: anybody can run it, its heatmap is exact, and whatever is not one is told from it in one line."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from heads import KINDS, drawn_familiarity, drawn_head, drawn_model
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scenes import draw_scene

from roadclear.errors import ModelFileError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING_CHANNELS, TOTAL_STRIDE, tensor_shape, trunk_output
from roadclear.features.backbone.weights import load_weights
from roadclear.features.engine import open_engine
from roadclear.model.decision.ood import OodGaussian, fit_ood
from roadclear.model.metadata import FORMAT_VERSION, read_facts
from roadclear.model.onnx_file import build_model_file

NUMBERS = ["probability", "logit", "embedding", "heatmap", "offset", "distance"]
FLAGS = ["unsure", "unfamiliar"]
OUTPUTS = [*NUMBERS, *FLAGS]
SIZES = (96, 224, 320)


def run(model: bytes, photos: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {"photo": photos}), strict=True))


def drawn_batch(size: int, n: int) -> NDArray[np.uint8]:
    scenes = (draw_scene(seed, figure=seed % 2 == 0).resize((size, size)) for seed in range(n))
    return np.stack([np.asarray(scene) for scene in scenes])


def real_batch(roads: Path, size: int, n: int) -> NDArray[np.uint8]:
    files = sorted(roads.glob("*/*.jpg"))
    chosen = files[:: len(files) // n][:n]
    return np.stack([np.asarray(Image.open(file).convert("RGB").resize((size, size))) for file in chosen])


def assert_splits_exactly(outputs: dict[str, NDArray[np.float32]]) -> None:
    """logit = heatmap.sum() + offset, up to the rounding of as many float32 terms."""
    terms = np.abs(outputs["heatmap"]).sum(axis=(1, 2)) + np.abs(outputs["offset"])
    total = outputs["heatmap"].sum(axis=(1, 2), dtype=np.float64) + outputs["offset"]
    assert (np.abs(total - outputs["logit"]) <= 2e-5 * (1 + terms)).all(), (total, outputs["logit"])


class TestForm:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", SIZES)
    def test_the_checker_passes_and_the_signature_is_the_documented_one(self, kind: str, size: int) -> None:
        model = onnx.ModelProto.FromString(drawn_model(kind, size))
        onnx.checker.check_model(model, full_check=True)
        side = size // TOTAL_STRIDE
        assert signature(model.graph.input) == {"photo": ("UINT8", ["N", size, size, 3])}
        assert signature(model.graph.output) == {
            "probability": ("FLOAT", ["N"]),
            "logit": ("FLOAT", ["N"]),
            "embedding": ("FLOAT", ["N", EMBEDDING_CHANNELS]),
            "heatmap": ("FLOAT", ["N", side, side]),
            "offset": ("FLOAT", ["N"]),
            "distance": ("FLOAT", ["N"]),
            "unsure": ("BOOL", ["N"]),
            "unfamiliar": ("BOOL", ["N"]),
        }

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n", [1, 5])
    def test_the_outputs_have_the_shapes_that_are_declared(self, kind: str, n: int) -> None:
        outputs = run(drawn_model(kind), drawn_batch(96, n))
        shapes = {name: values.shape for name, values in outputs.items()}
        assert shapes == {
            "probability": (n,),
            "logit": (n,),
            "embedding": (n, EMBEDDING_CHANNELS),
            "heatmap": (n, 3, 3),
            "offset": (n,),
            "distance": (n,),
            "unsure": (n,),
            "unfamiliar": (n,),
        }
        assert {outputs[name].dtype for name in NUMBERS} == {np.dtype(np.float32)}
        assert {outputs[name].dtype for name in FLAGS} == {np.dtype(np.bool_)}

    def test_a_stranger_can_read_what_the_model_is(self) -> None:
        model = onnx.ModelProto.FromString(drawn_model(threshold=0.625))
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(metadata["roadclear.labels"]) == ["empty", "crossing"]
        assert metadata["roadclear.positive"] == "crossing"
        assert float(metadata["roadclear.threshold"]) == 0.625
        assert metadata["roadclear.size"] == "96"
        assert metadata["roadclear.weights_name"] == "imagenet"
        assert len(metadata["roadclear.weights_sha256"]) == 64
        assert json.loads(metadata["roadclear.training"])["photos"] == {"train": 34}

    def test_the_same_head_and_facts_give_the_same_bytes(self) -> None:
        assert drawn_model("dense", seed=3) == drawn_model("dense", seed=3)


def signature(values: object) -> dict[str, tuple[str, list[str | int]]]:
    def shape(tensor: onnx.TypeProto.Tensor) -> list[str | int]:
        return [d.dim_param or d.dim_value for d in tensor.shape.dim]

    tensors = {value.name: value.type.tensor_type for value in values}  # type: ignore[attr-defined]
    return {name: (onnx.TensorProto.DataType.Name(t.elem_type), shape(t)) for name, t in tensors.items()}


class TestNumbers:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("n", [1, 5])
    def test_the_heatmap_adds_up_to_the_logit(self, kind: str, size: int, n: int) -> None:
        assert_splits_exactly(run(drawn_model(kind, size), drawn_batch(size, n)))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [224, 320])
    def test_the_heatmap_adds_up_to_the_logit_on_real_photos(self, roads: Path, kind: str, size: int) -> None:
        assert_splits_exactly(run(drawn_model(kind, size), real_batch(roads, size, 5)))

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_embedding_goes_through_the_head_as_it_was_given(self, kind: str) -> None:
        outputs = run(drawn_model(kind, seed=5), drawn_batch(96, 5))
        expected = drawn_head(kind, seed=5).logits(outputs["embedding"])
        np.testing.assert_allclose(outputs["logit"], expected, atol=1e-4)
        np.testing.assert_allclose(outputs["probability"], 1 / (1 + np.exp(-expected)), atol=1e-5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_distance_is_that_of_the_embedding(self, kind: str) -> None:
        outputs = run(drawn_model(kind, seed=5), drawn_batch(96, 5))
        familiarity = drawn_familiarity(seed=5)
        np.testing.assert_allclose(outputs["distance"], familiarity.distances(outputs["embedding"]), atol=1e-5)
        assert outputs["unfamiliar"].tolist() == (outputs["distance"] > familiarity.limit).tolist()

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_the_distance_of_a_frozen_layer_is_that_of_its_strengths(self, engine: str) -> None:
        tensor, photos = trunk_output(4), drawn_batch(96, 8)
        facts, weights = read_facts(drawn_model()), load_weights()
        channels = tensor_shape(tensor, 96)[0]
        plain = OodGaussian(np.zeros(channels, np.float32), np.eye(channels, dtype=np.float32), 1.0, tensor)
        traced = onnx.load_from_string(build_model_file(weights, drawn_head("dense"), plain, facts))
        traced.graph.output.append(onnx.helper.make_tensor_value_info("distance/vector", 1, ["N", channels]))
        session = onnxruntime.InferenceSession(traced.SerializeToString())
        (vectors,) = session.run(["distance/vector"], {"photo": photos})
        ood = fit_ood(vectors[:5], vectors[5:], 0, tensor)
        model = build_model_file(weights, drawn_head("dense"), ood, facts)
        ran = open_engine(model, ["distance", "unfamiliar"], engine, "f32", None)
        found = [ran.infer(photo) for photo in photos]
        distances = np.array([float(each["distance"]) for each in found])
        np.testing.assert_allclose(distances, ood.distances(vectors), rtol=1e-3, atol=1e-3)
        assert [bool(each["unfamiliar"]) for each in found][:5] == (ood.distances(vectors) > ood.limit).tolist()[:5]
        assert read_facts(model) == facts

    @pytest.mark.parametrize("ends", [(0, 4), (1, 3), (2, 2)])
    def test_unsure_is_what_lies_within_the_band(self, ends: tuple[int, int]) -> None:
        photos = drawn_batch(96, 5)
        probability = run(drawn_model(), photos)["probability"]
        low, high = (float(np.sort(probability)[end]) for end in ends)
        outputs = run(drawn_model(threshold=low, band=(low, high)), photos)
        expected = (probability >= low) & (probability <= high) & (low < high)
        assert outputs["unsure"].tolist() == expected.tolist()

    def test_a_photo_has_the_same_numbers_alone_and_among_others(self) -> None:
        model, photos = drawn_model(), drawn_batch(96, 5)
        together = run(model, photos)
        for i in range(5):
            alone = run(model, photos[i : i + 1])
            for name in OUTPUTS:
                np.testing.assert_allclose(alone[name][0], together[name][i], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [96, 224])
    def test_both_engines_give_the_same_numbers(self, kind: str, size: int) -> None:
        model = drawn_model(kind, size)
        engines = [open_engine(model, OUTPUTS, name) for name in ("openvino", "onnxruntime")]
        for photo in drawn_batch(size, 3):
            ours, theirs = (engine.infer(photo) for engine in engines)
            assert set(ours) == set(theirs) == set(OUTPUTS)
            for name in OUTPUTS:
                np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4, rtol=1e-4, err_msg=name)

    @pytest.mark.slow
    @given(
        seed=st.integers(0, 2**32 - 1),
        kind=st.sampled_from(KINDS),
        n=st.integers(1, 4),
        loudest=st.floats(0, 6, width=32),
    )
    @settings(max_examples=12, deadline=None)
    def test_any_head_on_any_feature_map(self, seed: int, kind: str, n: int, loudest: float) -> None:
        """ReLU6 ends the base, so its feature maps hold any numbers from 0 to 6."""
        draw = np.random.default_rng(seed)
        feature_map = (loudest * draw.random((n, EMBEDDING_CHANNELS, 3, 3))).astype(np.float32)
        feature_map[draw.random(feature_map.shape) < draw.random()] = 0
        session = onnxruntime.InferenceSession(behind_the_base(drawn_model(kind, seed=seed)))
        outputs = dict(zip(OUTPUTS, session.run(OUTPUTS, {"feature_map": feature_map}), strict=True))
        assert_splits_exactly(outputs)
        np.testing.assert_allclose(outputs["embedding"], feature_map.mean(axis=(2, 3)), atol=1e-5)
        logits = drawn_head(kind, seed).logits(feature_map.mean(axis=(2, 3)))
        np.testing.assert_allclose(outputs["logit"], logits, atol=1e-3)


def behind_the_base(model: bytes) -> bytes:
    """What a model file does from the feature map on, as a model of its own."""
    inferred = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(model))
    return bytes(onnx.utils.Extractor(inferred).extract_model(["feature_map"], OUTPUTS).SerializeToString())


class TestReadFacts:
    @pytest.mark.parametrize("kind", KINDS)
    def test_facts_come_back_as_they_went_in(self, kind: str) -> None:
        facts = read_facts(drawn_model(kind, size=96, threshold=0.1 + 0.2))
        assert (facts.positive, facts.negative) == ("crossing", "empty")
        assert (facts.threshold, facts.size, facts.head) == (0.1 + 0.2, 96, kind)
        assert facts.training == {"photos": {"train": 34}, "accuracy": {}}

    @pytest.mark.parametrize(
        ("content", "reason"),
        {
            "empty": (b"", "not made by roadclear"),
            "a web page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "expected an ONNX model"),
            "text": (b"version https://git-lfs.github.com/spec/v1\n", "expected an ONNX model"),
            "zeros": (bytes(4096), "expected an ONNX model"),
            "noise": (np.random.default_rng(0).bytes(4096), "expected an ONNX model"),
        }.values(),
        ids=["empty", "a web page", "text", "zeros", "noise"],
    )
    def test_what_is_no_model_is_refused(self, content: bytes, reason: str) -> None:
        assert reason in refusal(content)

    @pytest.mark.parametrize("share", [0.0001, 0.1, 0.5, 0.9, 0.99999])
    def test_a_truncated_model_is_refused(self, share: float) -> None:
        model = drawn_model()
        refusal(model[: int(len(model) * share)])

    def test_another_onnx_model_is_refused(self) -> None:
        model = onnx.ModelProto.FromString(drawn_model())
        del model.metadata_props[:]
        assert "not made by roadclear" in refusal(model.SerializeToString())

    def test_a_model_of_a_later_format_asks_for_an_update(self) -> None:
        later = with_metadata(format_version=str(FORMAT_VERSION + 1))
        assert "update roadclear" in refusal(later)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("labels", "crossing, empty"),
            ("labels", '["crossing"]'),
            ("labels", "7"),
            ("threshold", "half"),
            ("size", ""),
            ("training", "{"),
            ("positive", None),
            ("format_version", "one"),
            ("format_version", "²"),
        ],
    )
    def test_damaged_metadata_is_refused(self, key: str, value: str | None) -> None:
        refusal(with_metadata(**{key: value}))


def with_metadata(**changes: str | None) -> bytes:
    """A model file some of whose metadata was changed, or taken out where the value is None."""
    model = onnx.ModelProto.FromString(drawn_model())
    metadata: dict[str, str | None] = {entry.key: entry.value for entry in model.metadata_props}
    metadata |= {f"roadclear.{key}": value for key, value in changes.items()}
    onnx.helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    return bytes(model.SerializeToString())


def refusal(content: bytes) -> str:
    """The one line with which a content is refused."""
    with pytest.raises(ModelFileError) as caught:
        read_facts(content)
    message = str(caught.value)
    assert message.isprintable(), message
    return message
