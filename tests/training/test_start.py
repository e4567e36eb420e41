"""An earlier model is opened by name or path, is what it was, and is refused with a word where it cannot serve."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_head, drawn_model

from roadclear.errors import ModelFileError, OptionError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.settings import FeatureSettings
from roadclear.model.content_filter import ContentFilter
from roadclear.model.metadata import read_facts
from roadclear.model.model_file import MODEL_FILE
from roadclear.model.stock import stock_model
from roadclear.training.run_folder import Run
from roadclear.training.start import Start, open_start


def opened(weights: str | Path) -> Start:
    start = open_start(FeatureSettings(weights=str(weights)))
    assert start is not None
    return start


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "earlier.onnx"
    path.write_bytes(drawn_model("dense"))
    return path


def test_published_weights_are_no_start() -> None:
    assert open_start(FeatureSettings()) is None
    assert open_start(FeatureSettings(weights="torchvision-v1")) is None


def test_the_stock_model_is_named_by_a_word() -> None:
    start = opened("stock")
    sha256 = hashlib.sha256(stock_model()).hexdigest()
    assert (start.name, start.option, start.sha256) == ("stock", f"stock@sha256:{sha256}", sha256)
    assert start.weights.sha256 == sha256
    assert start.weights.name == "imagenet-finetuned"
    assert start.ood_tensor != "embedding"


@pytest.mark.slow
@pytest.mark.parametrize("named", ["run", "run/model.onnx"])
def test_a_run_is_named_by_its_folder_or_file(small_run: Run, named: str) -> None:
    start = opened(small_run.folder.parent / named)
    assert start.name == "run"
    assert start.sha256 == hashlib.sha256(small_run.model_file.read_bytes()).hexdigest()
    assert start.option == f"{small_run.folder.parent / named}@sha256:{start.sha256}"
    assert np.array_equal(
        start.head.logits(np.ones((1, 1280), np.float32)),
        opened(start.option).head.logits(np.ones((1, 1280), np.float32)),
    )


def test_a_backbone_that_was_never_trained_is_the_installed_one(model: Path) -> None:
    start, installed = opened(model), load_weights()
    assert (start.weights.name, start.weights.sha256) == (installed.name, installed.sha256)


def test_a_file_whose_metadata_lie_about_its_backbone_has_weights_of_its_own(tmp_path: Path) -> None:
    """Else its features would be taken for those of the installed weights."""
    from roadclear.features.backbone.weights import FoldedConvolution
    from roadclear.model.decision.ood import OodReference
    from roadclear.model.onnx_file import build_model_file

    weights = load_weights()
    final = weights.convolutions["final"]
    changed = {**weights.convolutions, "final": FoldedConvolution(final.kernel * np.float32(1.5), final.bias)}
    references = OodReference(np.eye(10, 1280, dtype=np.float16), 5, 0.5)
    data = build_model_file(
        replace(weights, convolutions=changed), drawn_head("dense"), references, read_facts(drawn_model())
    )
    (tmp_path / MODEL_FILE).write_bytes(data)
    assert opened(tmp_path / MODEL_FILE).weights.sha256 == hashlib.sha256(data).hexdigest()


def test_a_changed_model_is_refused(model: Path) -> None:
    option = opened(model).option
    model.write_bytes(drawn_model("dense", seed=1))
    with pytest.raises(OptionError, match=r"^expected the model with the SHA-256 .* found another .*: name the model"):
        opened(option)


@pytest.mark.parametrize("named", ["imagnet", "nowhere/run", "no\0where", f"imagenet@sha256:{'0' * 64}"])
def test_what_is_not_there_is_refused_with_the_choices(named: str) -> None:
    expected = re.escape("weights must be one of imagenet, keras, torchvision-v1, torchvision-v2, stock, or the path")
    with pytest.raises(OptionError, match=f"^{expected}"):
        opened(named)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK")
    with pytest.raises(ModelFileError):
        opened(tmp_path / "weights.pt")
    with pytest.raises(ModelFileError):
        opened(tmp_path)


def test_a_copy_of_a_weights_file_has_no_place_beside_a_model(model: Path) -> None:
    with pytest.raises(OptionError, match=r"^weights_file is a copy .*: leave weights_file out$"):
        open_start(FeatureSettings(weights=str(model), weights_file="weights.pt"))


class TestHead:
    def test_it_is_the_model_s_for_its_labels(self, model: Path) -> None:
        start = opened(model)
        assert start.head_for("crossing", "empty", "dense") is start.head

    def test_it_is_turned_around_where_the_other_label_is_positive(self, model: Path) -> None:
        start, embeddings = opened(model), np.random.default_rng(0).random((5, 1280), np.float32)
        turned = start.head_for("empty", "crossing", "dense")
        assert turned is not None
        assert turned.logits(embeddings) == pytest.approx(-start.head.logits(embeddings))

    @pytest.mark.parametrize(
        ("positive", "negative", "kind"),
        [("crossing", "empty", "linear"), ("helmet", "empty", "dense"), ("a", "b", "dense")],
    )
    def test_there_is_none_for_other_labels_or_another_kind(
        self, model: Path, positive: str, negative: str, kind: str
    ) -> None:
        assert opened(model).head_for(positive, negative, kind) is None


def test_photos_of_its_training_are_known(model: Path) -> None:
    hashes = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(6)]
    start = opened(model)
    assert not start.has_seen(hashes).any()
    earlier = ContentFilter.from_hashes(hashes[:1])
    known = replace(start, facts=replace(start.facts, trained_on=ContentFilter.from_hashes(hashes[1:3], earlier)))
    assert known.has_seen(hashes).tolist() == [True, True, True, False, False, False]
