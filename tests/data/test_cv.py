"""Folds for scikit-learn: planted near-copies and groups of the user never straddle a fold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copies import CHANGES, as_read, soft_pattern
from numpy.typing import NDArray
from PIL import Image
from scenes import write_scenes
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from roadclear import RoadClassifier
from roadclear.data.cv import LookAlikeFolds, look_alike_groups
from roadclear.errors import DatasetError

CAUGHT = ("resized", "squeezed", "grey", "mirrored", "lighter", "darker")
ORIGINALS = 24


@pytest.fixture(scope="module")
def planted() -> tuple[list[NDArray[np.uint8]], NDArray[np.intp], NDArray[np.str_]]:
    """Photos, each with two changed copies under its label; which original each shows; and the labels."""
    photos, originals = [], []
    for seed in range(ORIGINALS):
        photo = soft_pattern(seed)
        changes: list[Callable[[Image.Image], Image.Image]] = [
            CHANGES[CAUGHT[(seed + turn) % len(CAUGHT)]] for turn in range(2)
        ]
        photos += [as_read(photo), *(as_read(change(photo), quality=70) for change in changes)]
        originals += [seed] * 3
    order = np.random.default_rng(0).permutation(len(photos))
    numbers = np.array(originals)[order]
    return [photos[k] for k in order], numbers, np.where(numbers % 2 == 0, "crossing", "empty")


def straddling(folds: Any, groups: NDArray[Any]) -> int:
    """Groups that are on both sides of a fold, over all folds."""
    return sum(len(np.intersect1d(groups[train], groups[test])) for train, test in folds)


class TestLookAlikeFolds:
    @pytest.mark.parametrize("seed", range(3))
    def test_planted_copies_never_straddle_a_fold(self, planted: Any, seed: int) -> None:
        photos, originals, labels = planted
        folds = list(LookAlikeFolds(4, random_state=seed).split(photos, labels))
        assert straddling(folds, originals) == 0
        plain = StratifiedKFold(4, shuffle=True, random_state=seed).split(np.zeros(len(photos)), labels)
        assert straddling(plain, originals) > 20

    def test_every_photo_is_tested_once_and_both_labels_everywhere(self, planted: Any) -> None:
        photos, _, labels = planted
        folds = list(LookAlikeFolds(4).split(photos, labels))
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(photos)))
        for train, test in folds:
            assert len(np.intersect1d(train, test)) == 0 and len(train) + len(test) == len(photos)
            assert set(labels[test]) == {"crossing", "empty"}

    def test_groups_of_the_user_stay_together_with_their_copies(self, planted: Any) -> None:
        photos, originals, labels = planted
        scenes = originals // 4
        named = set(np.unique(originals, return_index=True)[1].tolist())  # one of each three copies
        groups = [int(scene) if number in named else None for number, scene in enumerate(scenes)]
        assert straddling(LookAlikeFolds(3).split(photos, labels, groups), scenes) == 0

    def test_equal_seeds_give_equal_folds(self, planted: Any) -> None:
        photos, _, labels = planted

        def tests(seed: int) -> list[list[int]]:
            return [test.tolist() for _, test in LookAlikeFolds(4, random_state=seed).split(photos, labels)]

        assert tests(0) == tests(0) != tests(1)

    def test_it_is_a_splitter_of_scikit_learn(self) -> None:
        assert LookAlikeFolds(7).get_n_splits() == LookAlikeFolds(7).get_n_splits([], [], []) == 7
        assert repr(LookAlikeFolds(5)) == "LookAlikeFolds(n_splits=5, random_state=0, shuffle=True)"
        assert LookAlikeFolds(5, shuffle=False).random_state is None

    def test_too_few_groups_of_a_label_are_refused(self, planted: Any) -> None:
        photos, _, labels = planted
        with pytest.raises(DatasetError, match=r"'crossing' photos in each of 13 folds, found 12 groups"):
            next(LookAlikeFolds(13).split(photos, labels))

    def test_lengths_that_differ_are_refused(self, planted: Any) -> None:
        photos, _, labels = planted
        with pytest.raises(ValueError, match="one label for each"):
            next(LookAlikeFolds(4).split(photos, labels[:1]))
        with pytest.raises(ValueError, match="one group for each"):
            next(LookAlikeFolds(4).split(photos, labels, [1, 2]))

    def test_one_photo_is_no_list(self) -> None:
        with pytest.raises(TypeError, match="expected a list of photos"):
            next(LookAlikeFolds(4).split("photo.jpg", ["empty"]))


class TestLookAlikeGroups:
    def test_what_cannot_be_read_is_a_group_of_its_own(self, tmp_path: Path) -> None:
        photo = as_read(soft_pattern(0))
        assert look_alike_groups([photo, b"<html>", tmp_path / "missing.jpg", photo, b""]).tolist() == [0, 1, 2, 0, 3]

    def test_no_photos_have_no_groups(self) -> None:
        assert look_alike_groups([]).tolist() == []


SETTINGS: dict[str, Any] = {"size": 96, "views": 0, "epochs": 3, "head": "linear"}


@pytest.mark.slow
class TestWithTheClassifier:
    @pytest.mark.slow
    def test_scores_and_searches_run_on_paths(self, tmp_path: Path) -> None:
        root = write_scenes(tmp_path / "photos", per_label=20)
        paths = [str(path) for path in sorted(root.glob("*/*.jpg"))]
        labels = [Path(path).parent.name for path in paths]
        scores = cross_val_score(RoadClassifier(**SETTINGS), paths, labels, cv=LookAlikeFolds(2))
        assert scores.shape == (2,) and scores.min() > 0.6
        search = GridSearchCV(RoadClassifier(**SETTINGS), {"random_state": [0, 1]}, cv=LookAlikeFolds(2))
        assert search.fit(paths, labels).best_score_ > 0.6
