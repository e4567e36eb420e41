"""Maps add up to the logit, and come from heads that saw neither the photo nor its group."""

from pathlib import Path

import numpy as np
import pytest

from roadclear.curation.evidence import cell_evidence, evidence_maps
from roadclear.data.dataset import load_folder
from roadclear.data.folds import draw_folds
from roadclear.features.cache import open_cache
from roadclear.model.heads import DenseHead, Head, LinearHead
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidationData, fit_fold
from roadclear.training.prepare import prepare
from roadclear.utils.paths import default_cache_path

DRAWN = np.random.default_rng(5)
FEATURES = DRAWN.normal(size=(1280, 3, 4)).astype(np.float32)


def drawn(*shape: int) -> np.ndarray:
    return DRAWN.normal(scale=0.1, size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("head", "offset"),
    [
        (LinearHead(drawn(1280), np.float32(0.7)), 0.7),
        (DenseHead(drawn(1280, 512), np.zeros(512, np.float32), drawn(512), np.float32(-0.2)), -0.2),
    ],
)
def test_cells_and_offset_add_up_to_the_logit(head: Head, offset: float) -> None:
    evidence = cell_evidence(head, FEATURES)
    assert evidence.shape == (3, 4) and evidence.dtype == np.float32
    (logit,) = head.logits(FEATURES.mean(axis=(1, 2))[None])
    assert evidence.sum() + offset == pytest.approx(float(logit), abs=1e-4)


@pytest.mark.slow
def test_each_map_is_of_the_head_that_was_tested_on_the_photo(drawn_photos: Path) -> None:
    settings = TrainSettings(size=96, head="linear", positive="crossing")
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(drawn_photos), settings, cache)
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    files = [photo.file for photo in data.photos[::7]]
    maps = evidence_maps(data, sample, settings, 3, files)
    assert list(maps) == files
    for fold in draw_folds(data.targets, data.groups, 3, 1, settings.seed):
        head = fit_fold(sample, fold, settings).head
        assert isinstance(head, LinearHead)
        for i in fold.test:
            if data.photos[i].file in maps:
                evidence = maps[data.photos[i].file]
                assert evidence.shape == (3, 3)
                (logit,) = head.logits(data.embeddings[i][None])
                assert evidence.sum() + head.bias == pytest.approx(float(logit), abs=1e-3)


def test_no_photo_gives_no_map_and_opens_no_engine(drawn_photos: Path) -> None:
    settings = TrainSettings(size=96, head="linear", positive="crossing")
    with open_cache(default_cache_path()) as cache:
        data = prepare(load_folder(drawn_photos), settings, cache)
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    assert evidence_maps(data, sample, settings, 3, ()) == {}
