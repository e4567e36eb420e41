"""The studio's training: numbers, tasks and maps of a folder, from published weights and from an earlier model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from trained import FAST, train_dataset

from roadclear.cli.studio.trainer import SessionTrainer
from roadclear.data.dataset import Dataset, load_folder
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.training.run_folder import Run
from roadclear.utils.progress import no_progress

pytestmark = pytest.mark.slow

KNOWN = 6


@pytest.fixture(scope="module")
def cache() -> Iterator[FeatureCache]:
    with open_cache(None) as opened:
        yield opened


@pytest.fixture(scope="module")
def dataset(drawn_photos: Path) -> Dataset:
    return load_folder(drawn_photos)


@pytest.fixture(scope="module")
def earlier(dataset: Dataset, drawn_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on the first photos of each label."""
    labels = [[photo for photo in dataset.photos if photo.label == label] for label in dataset.labels]
    some = replace(dataset, photos=tuple(photo for each in labels for photo in each[: 2 * KNOWN]))
    return Run.save(tmp_path_factory.mktemp("earlier") / "first", drawn_photos, train_dataset(some))


def test_from_published_weights_every_photo_is_tested(dataset: Dataset, cache: FeatureCache) -> None:
    trainer = SessionTrainer(FAST, cache)
    numbers = trainer.update(dataset, no_progress)
    assert (len(numbers.files), numbers.seen) == (len(dataset.photos), 0)
    assert all(trainer.evidence(file) is not None for file in numbers.files[:2])
    assert trainer.evidence("crossing/absent.jpg") is None


def test_from_an_earlier_model_photos_that_it_knows_are_counted_and_not_tested(
    dataset: Dataset, cache: FeatureCache, earlier: Run
) -> None:
    trainer = SessionTrainer(replace(FAST, weights=str(earlier.folder)), cache)
    numbers = trainer.update(dataset, no_progress)
    known = earlier.model.facts.trained_on
    assert known is not None
    seen = known.find(dataset.photos)
    assert numbers.seen >= len(seen) > 0
    assert len(numbers.files) + numbers.seen == len(dataset.photos)
    assert seen.isdisjoint(numbers.files)
    assert numbers.accuracy.n == len(numbers.files)
    assert trainer.evidence(numbers.files[0]) is not None
    assert trainer.evidence(next(iter(seen))) is None
    assert {task.file for task in trainer.agenda(dataset, no_progress)} <= {photo.file for photo in dataset.photos}
    gain = trainer.gain(no_progress)
    assert gain is not None and gain.photos[1] <= len(numbers.files)
