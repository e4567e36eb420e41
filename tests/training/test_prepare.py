"""What is prepared of a folder: the photos that can be used, in whole groups, in splits with both labels."""

import csv
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus import make_corpus
from scenes import write_scenes

from roadclear.data.dataset import load_folder
from roadclear.data.split import TRAIN, VALIDATION
from roadclear.errors import DatasetError
from roadclear.features.cache import open_cache
from roadclear.training.config import PrepareSettings
from roadclear.training.prepare import PreparedData, load_views, prepare
from roadclear.utils.paths import default_cache_path

# Where a test run renews the warning filters, what Pillow has to say about broken metadata is shown again.
pytestmark = [pytest.mark.filterwarnings("ignore:::PIL"), pytest.mark.slow]

SMALL = PrepareSettings(size=64)


def prepared(folder: Path, settings: PrepareSettings = SMALL) -> PreparedData:
    with open_cache(default_cache_path()) as cache:
        return prepare(load_folder(folder), settings, cache)


@pytest.fixture
def own_photos(drawn_photos: Path, tmp_path: Path) -> Path:
    """A copy of the drawn photos to do with as a test likes."""
    return shutil.copytree(drawn_photos, tmp_path / "photos")


class TestPreparedData:
    @pytest.fixture(scope="class")
    @staticmethod
    def data(drawn_photos: Path) -> PreparedData:
        return prepared(drawn_photos)

    def test_its_columns_are_of_one_length(self, data: PreparedData) -> None:
        assert data.embeddings.shape == (48, 1280)
        assert data.embeddings.dtype == np.float32
        columns = (data.photos, data.hashes, data.look_alikes, data.groups, data.splits, data.targets)
        assert {len(column) for column in columns} == {48}

    def test_the_positive_class_is_told_by_the_names_or_chosen(self, data: PreparedData, drawn_photos: Path) -> None:
        assert (data.positive, data.negative) == ("crossing", "empty")
        assert data.targets.tolist() == [int(photo.label == "crossing") for photo in data.photos]
        other = prepared(drawn_photos, replace(SMALL, positive="empty"))
        assert (other.positive, other.negative) == ("empty", "crossing")
        assert (other.targets == 1 - data.targets).all()

    def test_a_split_is_selected_with_its_embeddings_and_targets(self, data: PreparedData) -> None:
        embeddings, targets = data.select(VALIDATION)
        chosen = [i for i, name in enumerate(data.splits) if name == VALIDATION]
        assert data.numbers(VALIDATION).tolist() == chosen
        assert np.flatnonzero(data.is_in(VALIDATION)).tolist() == chosen
        assert np.array_equal(embeddings, data.embeddings[chosen])
        assert np.array_equal(targets, data.targets[chosen])
        assert np.array_equal(data.select(VALIDATION, -data.embeddings)[0], -embeddings)

    def test_the_seed_draws_the_splits(self, data: PreparedData, drawn_photos: Path) -> None:
        assert prepared(drawn_photos).splits == data.splits
        assert prepared(drawn_photos, replace(SMALL, seed=1)).splits != data.splits

    def test_shares_may_leave_the_test_out(self, drawn_photos: Path) -> None:
        with open_cache(default_cache_path()) as cache:
            data = prepare(load_folder(drawn_photos), SMALL, cache, shares={TRAIN: 0.75, VALIDATION: 0.25})
        assert Counter(data.splits) == {TRAIN: 36, VALIDATION: 12}


class TestViews:
    def test_they_are_those_of_the_chosen_photos(self, drawn_photos: Path) -> None:
        with open_cache(default_cache_path()) as cache:
            data = prepare(load_folder(drawn_photos), SMALL, cache)
            both = load_views(data, [5, 3], 2)
            (first,) = load_views(data, [3], 1)
        assert [view.shape for view in both] == [(2, 1280)] * 2
        assert np.array_equal(both[0][1], first[0])
        assert not np.array_equal(both[0], both[1])
        assert not np.array_equal(both[0][0], data.embeddings[5])

    def test_none_are_none(self, drawn_photos: Path) -> None:
        assert load_views(prepared(drawn_photos), range(48), 0) == []

    def test_a_photo_that_changed_is_told_of(self, own_photos: Path) -> None:
        with open_cache(None) as cache:
            data = prepare(load_folder(own_photos), SMALL, cache)
            shutil.copy(data.photos[1].path, data.photos[0].path)
            with pytest.raises(DatasetError, match="to stay as it was, found another content: start again"):
                load_views(data, [0], 1)


class TestGroups:
    def test_copies_of_a_photo_stay_together(self, own_photos: Path) -> None:
        """Every photo three times, under other names: each content lies in one split."""
        for photo in sorted(own_photos.glob("*/*.jpg")):
            for copy in ("copy", "another copy"):
                shutil.copy(photo, photo.with_name(f"{copy} of {photo.name}"))
        data = prepared(own_photos)
        assert len(data.photos) == 144
        assert len(set(zip(data.hashes, data.splits, strict=True))) == len(set(data.hashes)) == 48
        assert min(Counter(data.groups.tolist()).values()) >= 3

    def test_scenes_of_the_manifest_stay_together(self, own_photos: Path) -> None:
        """Twelve scenes of four photos, two of each label."""
        files = [sorted(own_photos.glob(f"{label}/*.jpg")) for label in ("crossing", "empty")]
        scene_of = {
            path.relative_to(own_photos).as_posix(): f"scene {i // 2}"
            for paths in files
            for i, path in enumerate(paths)
        }
        with (own_photos / "manifest.csv").open("w", newline="") as lines:
            csv.writer(lines).writerows([("file", "scene"), *scene_of.items()])
        data = prepared(own_photos)
        found = {(scene_of[photo.file], name) for photo, name in zip(data.photos, data.splits, strict=True)}
        assert len(found) == 12

    def test_a_name_may_keep_photos_together(self, drawn_photos: Path) -> None:
        """Eight films of three frames each, by the number without its last digit."""
        data = prepared(drawn_photos, replace(SMALL, group_by="-([0-9]*)[0-9].jpg"))
        films = {(photo.file[-7:-5], name) for photo, name in zip(data.photos, data.splits, strict=True)}
        assert len(films) == 3

    def test_a_photo_under_both_labels_is_used_and_stays_in_one_split(self, own_photos: Path) -> None:
        shutil.copy(own_photos / "crossing/crossing-000.jpg", own_photos / "empty/same.jpg")
        data = prepared(own_photos)
        both = [i for i, p in enumerate(data.photos) if p.file in ("crossing/crossing-000.jpg", "empty/same.jpg")]
        assert len(both) == 2
        assert len({(data.splits[i], data.groups[i], data.look_alikes[i]) for i in both}) == 1

    def test_one_scene_for_all_cannot_be_split(self, drawn_photos: Path) -> None:
        dataset = load_folder(drawn_photos)
        photos = tuple(replace(photo, scene="the only one") for photo in dataset.photos)
        with pytest.raises(DatasetError, match="add photos from more places"), open_cache(None) as cache:
            prepare(replace(dataset, photos=photos), SMALL, cache)


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Validation"])
def test_folders_that_name_splits_are_honoured(tmp_path: Path, validation: str) -> None:
    for number, (name, n) in enumerate([("train", 12), (validation, 4), ("test", 4)]):
        write_scenes(tmp_path / name, n, seed=number)
    data = prepared(tmp_path)
    names = {"train": "train", validation: "validation", "test": "test"}
    assert data.splits == tuple(names[photo.file.split("/")[0]] for photo in data.photos)
    assert len(data.photos) == 40


class TestInput:
    @pytest.mark.slow
    def test_photos_that_cannot_be_used_are_skipped_and_listed(self, own_photos: Path) -> None:
        """Files of every kind among the photos: each is used or listed with its reason, none is passed over."""
        corpus = make_corpus(into(own_photos / "empty" / "corpus"))
        on_disk = [case for case in corpus if os.path.lexists(case.path)]
        data = prepared(own_photos)
        used = {photo.path for photo in data.photos}
        listed = {photo.file: photo.reason for photo in data.skipped}
        assert len(used) + len(listed) == 48 + len(on_disk)
        for case in on_disk:
            if case.outcome.reason is None:
                assert case.path in used
            else:
                reason = listed[case.path.relative_to(own_photos)]
                assert re.search(case.outcome.reason, reason), (case.path, reason)
                assert reason.isprintable()

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            ([], "found none: make one folder a label"),
            (["empty"], r"found 1 \('empty'\): add a folder of the other label"),
            (["crossing", "empty", "unsure"], r"found 3 .*: move the others away"),
        ],
    )
    def test_other_than_two_labels_are_refused_with_advice(
        self, drawn_photos: Path, tmp_path: Path, labels: list[str], reason: str
    ) -> None:
        root = into(tmp_path / "root")
        for label in labels:
            shutil.copytree(drawn_photos / "empty", root / label)
        with pytest.raises(DatasetError, match=reason):
            prepared(root)

    def test_of_names_that_do_not_tell_the_last_is_positive(self, own_photos: Path) -> None:
        (own_photos / "empty").rename(own_photos / "zebra")
        data = prepared(own_photos)
        assert (data.positive, data.negative) == ("zebra", "crossing")

    def test_fewer_than_ten_photos_are_refused_with_advice(self, own_photos: Path) -> None:
        for photo in sorted(own_photos.glob("empty/*.jpg"))[9:]:
            photo.write_bytes(b"")
        with pytest.raises(DatasetError, match=r"at least 10 readable photos .* found 9 of 'empty': add photos"):
            prepared(own_photos)

    def test_ten_of_each_will_do(self, tmp_path: Path) -> None:
        assert set(prepared(write_scenes(tmp_path / "few", 10)).splits) == {"train", "validation", "test"}


def into(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_split_is_prescribed_for_all_usable_photos_or_for_none(drawn_photos: Path) -> None:
    """A photo that became readable since the table was made must not change how the others are split."""
    dataset = load_folder(drawn_photos)
    photos = tuple(replace(photo, split=TRAIN if number else None) for number, photo in enumerate(dataset.photos))
    refused = pytest.raises(DatasetError, match=r"found none for 1 of 48, the first being '.*': make the table anew")
    with open_cache(default_cache_path()) as cache, refused:
        prepare(replace(dataset, photos=photos), SMALL, cache)
