"""A session: the numbers of a fresh training at first, and after changes no test photo that was ever trained on."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import write_scenes
from trained import FAST

from roadclear.data.dataset import load_folder
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError, OptionError
from roadclear.features.cache import FeatureCache, open_cache
from roadclear.model.heads import probabilities
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.training.session import Session, SessionNumbers

pytestmark = pytest.mark.slow

SETTINGS = replace(FAST, views=1)
PER_LABEL = 30


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "photos", PER_LABEL)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with open_cache(tmp_path / "cache.sqlite") as opened:
        yield opened


def splits_of(numbers: SessionNumbers) -> dict[str, str]:
    return dict(zip(numbers.data.hashes, numbers.data.splits, strict=True))


def relabel(photos: Path, numbers: tuple[int, ...]) -> None:
    """Move crossing photos to the other label."""
    for number in numbers:
        (photos / "crossing" / f"crossing-{number:03d}.jpg").rename(photos / "empty" / f"moved-{number:03d}.jpg")


class TestFirstNumbers:
    @pytest.mark.parametrize("head", ["dense", "linear"])
    def test_they_are_those_of_a_fresh_training(self, photos: Path, cache: FeatureCache, head: str) -> None:
        settings = replace(SETTINGS, head=head)
        dataset = load_folder(photos)
        numbers = Session(settings, cache).update(dataset)
        fresh = train(dataset, settings, cache)
        assert numbers.data.splits == fresh.data.splits
        assert np.array_equal(probabilities(numbers.head.head, numbers.data.embeddings), fresh.probabilities)
        assert numbers.test == fresh.evaluations[TEST]
        assert not numbers.warm
        assert numbers.change is None


class TestChanges:
    def test_relabelled_photos_keep_their_places(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(replace(SETTINGS, epochs=50), cache)
        before = session.update(load_folder(photos))
        relabel(photos, (0, 7, 19))
        after = session.update(load_folder(photos))
        assert splits_of(after) == splits_of(before)
        assert after.warm
        assert len(after.head.trained.history) < len(before.head.trained.history)
        assert after.change is not None
        assert after.change.n == 2 * PER_LABEL
        assert after.change.metrics["accuracy"].b == pytest.approx(float(after.crossed.correct.mean()))

    def test_nothing_changed(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(SETTINGS, cache)
        before = session.update(load_folder(photos))
        after = session.update(load_folder(photos))
        assert np.array_equal(after.crossed.probability, before.crossed.probability)
        assert after.change is not None
        assert after.change.metrics["accuracy"].difference.value == 0

    def test_known_files_are_not_read_again(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(SETTINGS, cache)
        session.update(load_folder(photos))
        read = session.extractor.stats.photos
        write_scenes(photos.parent / "more", 2, seed=5)
        for label in ("crossing", "empty"):
            shutil.move(photos.parent / "more" / label / f"{label}-001.jpg", photos / label / "new.jpg")
        numbers = session.update(load_folder(photos))
        assert len(numbers.data.photos) == 2 * PER_LABEL + 2
        trained = sum(
            split == TRAIN and photo.path.name == "new.jpg"
            for photo, split in zip(numbers.data.photos, numbers.data.splits, strict=True)
        )
        assert session.extractor.stats.photos == read + 2 + trained

    def test_what_was_trained_on_never_becomes_a_test_photo(self, photos: Path, cache: FeatureCache) -> None:
        """Copies of training photos are new photos of known groups; the label of the copy does not matter."""
        session = Session(SETTINGS, cache)
        splits = splits_of(before := session.update(load_folder(photos)))
        trained = [
            photo.path
            for photo, split in zip(before.data.photos, before.data.splits, strict=True)
            if split in (TRAIN, VALIDATION)
        ]
        for number, path in enumerate(trained[:20]):
            (photos / "empty" / f"copy-{number}.jpg").write_bytes(path.read_bytes() + b"\0")
        after = splits_of(session.update(load_folder(photos)))
        assert {sha256: after[sha256] for sha256 in splits} == splits
        assert TEST not in {split for sha256, split in after.items() if sha256 not in splits}

    def test_a_broken_file_is_skipped_and_comes_back_mended(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(SETTINGS, cache)
        file = photos / "empty" / "empty-003.jpg"
        whole = file.read_bytes()
        file.write_bytes(whole[:200])
        assert [skipped.file for skipped in session.update(load_folder(photos)).data.skipped] == [file]
        file.write_bytes(whole)
        mended = session.update(load_folder(photos)).data
        assert mended.skipped == ()
        assert len(mended.photos) == 2 * PER_LABEL

    def test_where_a_split_would_lack_a_label_all_are_drawn_again(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(SETTINGS, cache)
        before = session.update(load_folder(photos))
        for photo, split in zip(before.data.photos, before.data.splits, strict=True):
            if split == TEST and photo.label == "crossing":
                photo.path.unlink()
        after = session.update(load_folder(photos))
        assert not after.warm
        assert {photo.label for photo, s in zip(after.data.photos, after.data.splits, strict=True) if s == TEST} == {
            "crossing",
            "empty",
        }

    def test_too_few_photos_are_refused_and_the_session_goes_on(self, photos: Path, cache: FeatureCache) -> None:
        session = Session(SETTINGS, cache)
        before = session.update(load_folder(photos))
        shutil.move(photos / "crossing", photos.parent / "aside")
        (photos / "crossing").mkdir()
        for number in range(2):
            name = f"crossing-{number:03d}.jpg"
            shutil.copy(photos.parent / "aside" / name, photos / "crossing" / name)
        with pytest.raises(DatasetError):
            session.update(load_folder(photos))
        shutil.rmtree(photos / "crossing")
        shutil.move(photos.parent / "aside", photos / "crossing")
        after = session.update(load_folder(photos))
        assert splits_of(after) == splits_of(before)
        assert after.warm


def test_fine_tuning_is_refused(cache: FeatureCache) -> None:
    with pytest.raises(OptionError, match="unfreeze must be 0 in a session, got 4: fine-tune at the end"):
        Session(TrainSettings(unfreeze=4), cache)
