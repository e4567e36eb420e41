"""An earlier model has a say about photos that it was not trained on, and about no other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_familiarity, drawn_head, drawn_model

from roadclear.curation.expert import log_odds
from roadclear.curation.triage import triage
from roadclear.data.dataset import load_folder
from roadclear.errors import OptionError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import open_cache
from roadclear.model.content_filter import ContentFilter, hash_file
from roadclear.model.metadata import read_facts
from roadclear.model.onnx_file import build_model_file
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import prepare
from roadclear.utils.paths import default_cache_path

SETTINGS = TrainSettings(size=96, head="linear", positive="crossing")


def model_trained_on(folder: Path, path: Path, names: list[str]) -> Path:
    """A model file with a drawn head, which says that it was trained on some photos."""
    known = ContentFilter.from_hashes([str(hash_file(folder / name)) for name in names])
    facts = replace(read_facts(drawn_model("linear")), trained_on=known)
    path.write_bytes(build_model_file(load_weights("imagenet"), drawn_head("linear"), drawn_familiarity(), facts))
    return path


@pytest.mark.slow
def test_trained_photos_keep_the_word_of_the_frozen_base(drawn_photos: Path, tmp_path: Path) -> None:
    dataset = load_folder(drawn_photos)
    trained = [photo.file for photo in dataset.photos[::4]]
    path = model_trained_on(drawn_photos, tmp_path / "model.onnx", trained)
    with open_cache(default_cache_path()) as cache:
        data = prepare(dataset, replace(SETTINGS, views=0), cache)
        plain = triage(dataset, SETTINGS, cache, folds=3, repeats=1)
        found = triage(dataset, replace(SETTINGS, weights=str(path)), cache, folds=3, repeats=1)
    seen = np.isin(data.groups, data.groups[[photo.file in trained for photo in data.photos]])
    assert 0 < seen.sum() < len(seen)
    assert (plain.by_model, found.by_model) == (None, int((~seen).sum()))
    confidence = np.where(data.targets == 1, 1, -1)
    before, after = (confidence * log_odds(one.label_issues.self_confidence) for one in (plain, found))
    assert after[seen] == pytest.approx(before[seen])
    judge = Model(path.read_bytes())
    said = [log_odds(np.array([judge.predict(photo.path).probability]))[0] for photo in data.photos]
    assert after[~seen] == pytest.approx((before[~seen] + np.array(said)[~seen]) / 2, abs=1e-3)


def test_a_model_that_does_not_fit_is_refused(drawn_photos: Path, tmp_path: Path) -> None:
    dataset = load_folder(drawn_photos)
    (tmp_path / "model.onnx").write_bytes(drawn_model("linear"))
    settings = replace(SETTINGS, weights=str(tmp_path / "model.onnx"))
    with open_cache(default_cache_path()) as cache:
        with pytest.raises(OptionError, match="expected a model that says which photos it was trained on"):
            triage(dataset, settings, cache)
        with pytest.raises(OptionError, match="positive must be that of the model, 'crossing', got 'empty'"):
            triage(dataset, replace(settings, positive="empty"), cache)
        with pytest.raises(OptionError, match="expected a model of 'cat' and 'dog'"):
            triage(replace(dataset, labels=("cat", "dog")), settings, cache)
        path = model_trained_on(drawn_photos, tmp_path / "model.onnx", [dataset.photos[0].file])
        with pytest.raises(OptionError, match="an earlier model or blocks to fine-tune, found both"):
            triage(dataset, replace(settings, weights=str(path), unfreeze=4), cache)


@pytest.mark.parametrize("probability", [0.0, 1e-300, 0.5, 1.0])
def test_log_odds_are_finite(probability: float) -> None:
    assert np.isfinite(log_odds(np.array([probability]))).all()
