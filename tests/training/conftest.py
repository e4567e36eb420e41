"""One small training of the drawn photos, which the tests of its parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadclear.data.dataset import load_folder
from roadclear.features.cache import open_cache
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData, prepare
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.training.run_folder import Run
from roadclear.utils.paths import default_cache_path

SETTINGS = TrainSettings(size=96, views=1, epochs=5, positive="crossing")


@pytest.fixture(scope="session")
def prepared(drawn_photos: Path) -> Iterator[PreparedData]:
    """The drawn photos, whose views can still be computed."""
    with open_cache(default_cache_path()) as cache:
        yield prepare(load_folder(drawn_photos), SETTINGS, cache)


@pytest.fixture(scope="session")
def small_training(drawn_photos: Path) -> TrainingResult:
    """A training of the drawn photos; for reading only."""
    with open_cache(default_cache_path()) as cache:
        return train(load_folder(drawn_photos), SETTINGS, cache)


@pytest.fixture(scope="session")
def small_run(small_training: TrainingResult, drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run folder of that training; for reading only."""
    return Run.save(tmp_path_factory.mktemp("small") / "run", drawn_photos, small_training, b"a report")
