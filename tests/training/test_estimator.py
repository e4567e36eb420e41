"""The classifier keeps scikit-learn's promises: parameters, cloning, labels of any type, probabilities, errors."""

import copy
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from roadclear import RoadClassifier, load
from roadclear.errors import DatasetError, OptionError, PhotoError
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"size": 96, "views": 0, "epochs": 4, "head": "linear"}


@pytest.fixture(scope="module")
def photos(drawn_photos: Path) -> list[str]:
    return [str(path) for path in sorted(drawn_photos.glob("*/*.jpg"))]


@pytest.fixture(scope="module")
def labels(photos: list[str]) -> NDArray[np.str_]:
    return np.array([Path(path).parent.name for path in photos])


@pytest.fixture(scope="module")
def fitted(photos: list[str], labels: NDArray[np.str_]) -> RoadClassifier:
    return RoadClassifier(**QUICK).fit(photos, labels)


class TestParameters:
    def test_they_are_the_training_options_with_their_defaults(self) -> None:
        parameters = RoadClassifier().get_params()
        assert parameters.pop("cache") is True
        assert parameters.pop("random_state") is None
        assert TrainSettings(**parameters) == TrainSettings()

    def test_they_can_be_set_and_cloned(self) -> None:
        classifier = RoadClassifier(seed=3).set_params(views=2, head="linear")
        copy = clone(classifier)
        assert copy is not classifier
        assert (
            copy.get_params() == classifier.get_params() == RoadClassifier(seed=3, views=2, head="linear").get_params()
        )

    def test_an_unknown_one_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Invalid parameter"):
            RoadClassifier().set_params(layers=3)

    def test_a_clone_is_not_fitted(self, fitted: RoadClassifier, photos: list[str]) -> None:
        with pytest.raises(NotFittedError):
            clone(fitted).predict(photos)

    def test_an_unfitted_one_can_be_pickled_for_another_process(self) -> None:
        classifier = RoadClassifier(seed=3, positive="crossing")
        assert pickle.loads(pickle.dumps(classifier)).get_params() == classifier.get_params()

    def test_it_prints_what_was_changed(self) -> None:
        assert repr(RoadClassifier()) == "RoadClassifier()"
        assert repr(RoadClassifier(head="linear", random_state=3)) == "RoadClassifier(head='linear', random_state=3)"

    def test_two_of_equal_parameters_are_two(self) -> None:
        first, second = RoadClassifier(), RoadClassifier()
        assert first != second and len({first, second, first}) == 2

    @pytest.mark.parametrize(
        "wrong", [{"size": 100}, {"views": -1}, {"engine": "torch"}, {"head": "deep"}, {"epochs": 2.5}, {"seed": "x"}]
    )
    def test_a_wrong_value_is_told_by_fit(
        self, photos: list[str], labels: NDArray[np.str_], wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(OptionError, match=next(iter(wrong))):
            RoadClassifier(**wrong).fit(photos, labels)

    def test_it_tells_scikit_learn_what_it_is(self) -> None:
        assert is_classifier(RoadClassifier())
        tags = get_tags(RoadClassifier())
        assert tags.classifier_tags.multi_class is False
        assert tags.input_tags.string and tags.input_tags.one_d_array and not tags.input_tags.two_d_array
        assert tags.target_tags.required


class TestFit:
    def test_it_returns_itself(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        classifier = RoadClassifier(**QUICK)
        assert classifier.fit(photos, labels) is classifier
        assert classifier.classes_.tolist() == ["crossing", "empty"]
        assert classifier.skipped_ == ()

    def test_it_leaves_its_parameters_alone(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        classifier = RoadClassifier(**QUICK)
        before = classifier.get_params()
        assert classifier.fit(photos, labels).get_params() == before

    @pytest.mark.parametrize("head", ["dense", "linear"])
    def test_the_same_photos_and_seed_give_the_same_model(
        self, photos: list[str], labels: NDArray[np.str_], head: str
    ) -> None:
        first, second = (RoadClassifier(**QUICK | {"head": head}).fit(photos, labels) for _ in range(2))
        assert first.model_.data == second.model_.data

    def test_another_seed_gives_another_model(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        first, second = (RoadClassifier(**QUICK, seed=seed).fit(photos, labels) for seed in (0, 1))
        assert first.model_.data != second.model_.data

    def test_the_cache_may_be_left_out(
        self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier
    ) -> None:
        classifier = RoadClassifier(**QUICK, cache=False).fit(photos, labels)
        assert classifier.model_.data == fitted.model_.data

    @pytest.mark.parametrize("of", [Path, str, np.str_])
    def test_paths_may_be_of_any_kind(
        self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier, of: type
    ) -> None:
        paths = [of(path) for path in photos]
        assert RoadClassifier(**QUICK).fit(paths, labels).model_.data == fitted.model_.data
        assert fitted.predict(paths).tolist() == fitted.predict(photos).tolist()

    def test_arrays_of_paths_will_do(self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier) -> None:
        assert RoadClassifier(**QUICK).fit(np.array(photos), labels).model_.data == fitted.model_.data
        assert fitted.predict(np.array(photos)).shape == labels.shape

    @pytest.mark.parametrize("wrong", [slice(1, None), slice(0, 0)], ids=["one short", "none"])
    def test_lengths_that_differ_are_refused(self, photos: list[str], labels: NDArray[np.str_], wrong: slice) -> None:
        with pytest.raises(ValueError, match=r"one label for each of the 48 photos"):
            RoadClassifier(**QUICK).fit(photos, labels[wrong])

    def test_labels_in_a_column_are_refused(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        with pytest.raises(ValueError, match=r"\(48, 1\)"):
            RoadClassifier(**QUICK).fit(photos, labels[:, None])

    @pytest.mark.parametrize(("classes", "found"), [(["a"], 1), (["a", "b", "c"], 3)])
    def test_other_than_two_classes_are_refused(self, photos: list[str], classes: list[str], found: int) -> None:
        with pytest.raises(DatasetError, match=f"two classes, found {found}"):
            RoadClassifier(**QUICK).fit(photos, np.resize(classes, len(photos)))

    def test_fewer_than_ten_photos_of_a_class_are_refused(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        with pytest.raises(DatasetError, match=r"at least 10 .* found 9 of 'crossing'"):
            RoadClassifier(**QUICK).fit(photos[15:], labels[15:])

    def test_photos_that_cannot_be_read_are_left_out_with_a_warning(
        self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier, tmp_path: Path
    ) -> None:
        page = tmp_path / "page.jpg"
        page.write_text("<html>Not found</html>")
        with pytest.warns(UserWarning, match=r"2 photos could not be used, the first being .*page\.jpg: an HTML"):
            classifier = RoadClassifier(**QUICK).fit(
                [*photos, page, tmp_path / "missing.jpg"], [*labels, "empty", "crossing"]
            )
        assert [photo.file for photo in classifier.skipped_] == [page, tmp_path / "missing.jpg"]
        assert classifier.model_.data == fitted.model_.data

    def test_a_folder_gives_paths_and_labels(self, drawn_photos: Path, photos: list[str]) -> None:
        classifier = RoadClassifier(**QUICK).fit_folder(drawn_photos)
        assert classifier.classes_.tolist() == ["crossing", "empty"]
        assert classifier.model_.facts.positive == "crossing"
        assert sum(classifier.model_.facts.training["photos"].values()) == len(photos)

    def test_fifteen_per_cent_are_kept_for_validation(self, fitted: RoadClassifier) -> None:
        counts = fitted.model_.facts.training["photos"]
        assert counts["train"] + counts["validation"] == 48
        assert counts["validation"] == pytest.approx(0.15 * 48, abs=1)


class TestRandomState:
    def seed_of(self, classifier: RoadClassifier) -> Any:
        return classifier.model_.facts.training["options"]["seed"]

    @pytest.mark.parametrize("state", [5, np.int64(5)])
    def test_an_integer_is_the_seed(self, photos: list[str], labels: NDArray[np.str_], state: Any) -> None:
        classifier = RoadClassifier(**QUICK, seed=1, random_state=state).fit(photos, labels)
        assert self.seed_of(classifier) == 5
        assert classifier.get_params()["random_state"] is state

    def test_a_generator_gives_each_fit_a_seed_of_its_own(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        def seeds() -> list[Any]:
            classifier = RoadClassifier(**QUICK, random_state=np.random.RandomState(2))
            return [self.seed_of(classifier.fit(photos, labels)) for _ in range(2)]

        first, second = seeds(), seeds()
        assert first == second and first[0] != first[1]

    @pytest.mark.parametrize("wrong", ["3", 1.5, True, -1, 2**32, np.random.default_rng(0)])
    def test_anything_else_is_refused(self, photos: list[str], labels: NDArray[np.str_], wrong: Any) -> None:
        with pytest.raises(OptionError, match=r"random_state must be|seed must be"):
            RoadClassifier(**QUICK, random_state=wrong).fit(photos, labels)


class TestGroups:
    def test_photos_of_one_group_are_on_one_side_of_the_inner_split(
        self, photos: list[str], labels: NDArray[np.str_], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        results: list[Any] = []
        monkeypatch.setattr("roadclear.training.estimator.train", _keeping(train, results))
        groups = [("camera", number // 4) for number in range(len(photos))]
        RoadClassifier(**QUICK).fit(photos, labels, groups=groups)
        sides: dict[Any, set[str]] = {}
        for group, split in zip(groups, results[0].data.splits, strict=True):
            sides.setdefault(group, set()).add(split)
        assert all(len(found) == 1 for found in sides.values())
        assert set().union(*sides.values()) == {"train", "validation"}

    def test_no_group_is_no_link(self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier) -> None:
        classifier = RoadClassifier(**QUICK).fit(photos, labels, groups=[None] * len(photos))
        assert classifier.model_.data == fitted.model_.data

    def test_lengths_that_differ_are_refused(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        with pytest.raises(ValueError, match="one group for each of the 48 photos, got 3"):
            RoadClassifier(**QUICK).fit(photos, labels, groups=[1, 2, 3])


class TestFolderOptions:
    @pytest.mark.parametrize("option", [{"split": "split.csv"}, {"group_by_page": True}, {"group_by_author": True}])
    def test_what_needs_the_tables_of_a_folder_is_refused_by_fit(
        self, photos: list[str], labels: NDArray[np.str_], option: dict[str, Any]
    ) -> None:
        with pytest.raises(OptionError, match=f"{next(iter(option))} needs the tables .* use fit_folder"):
            RoadClassifier(**QUICK, **option).fit(photos, labels)

    def test_a_pattern_for_names_is_refused_where_photos_have_none(
        self, photos: list[str], labels: NDArray[np.str_]
    ) -> None:
        with pytest.raises(OptionError, match="group_by compares file names"):
            RoadClassifier(**QUICK, group_by="a").fit([Path(path).read_bytes() for path in photos], labels)

    def test_fit_folder_keeps_the_split_of_a_table(self, drawn_photos: Path, tmp_path: Path) -> None:
        files = sorted(path.relative_to(drawn_photos).as_posix() for path in drawn_photos.glob("*/*.jpg"))
        splits = {0: "test", 1: "validation"}
        rows = "".join(f"{file},{splits.get(number % 4, 'train')}\n" for number, file in enumerate(files))
        (tmp_path / "split.csv").write_text(f"file,split\n{rows}")
        classifier = RoadClassifier(**QUICK, split=str(tmp_path / "split.csv"), group_by_page=True)
        counts = classifier.fit_folder(drawn_photos).model_.facts.training["photos"]
        assert counts == {"train": 24, "validation": 12, "test": 12}


def _keeping(function: Callable[..., Any], results: list[Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        results.append(function(*arguments, **named))
        return results[-1]

    return call


class TestKindsOfPhotos:
    def test_bytes_and_file_objects_give_the_model_of_the_files(
        self, photos: list[str], labels: NDArray[np.str_], fitted: RoadClassifier
    ) -> None:
        contents = [Path(path).read_bytes() for path in photos]
        streams = [io.BytesIO(content) for content in contents]
        assert RoadClassifier(**QUICK).fit(contents, labels).model_.data == fitted.model_.data
        assert RoadClassifier(**QUICK).fit(streams, labels).model_.data == fitted.model_.data
        assert fitted.predict_proba(streams).tolist() == fitted.predict_proba(photos).tolist()

    def test_pixels_give_the_model_of_their_lossless_files(
        self, photos: list[str], labels: NDArray[np.str_], tmp_path: Path
    ) -> None:
        pictures = [Image.open(path).convert("RGB") for path in photos]
        files = [tmp_path / f"{number}.png" for number in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            picture.save(file, compress_level=1)
        by_files = RoadClassifier(**QUICK).fit(files, labels)
        assert RoadClassifier(**QUICK).fit(pictures, labels).model_.data == by_files.model_.data
        arrays = [np.asarray(picture) for picture in pictures]
        assert RoadClassifier(**QUICK).fit(arrays, labels).model_.data == by_files.model_.data
        assert by_files.predict_proba(arrays).tolist() == by_files.predict_proba(files).tolist()

    def test_one_array_may_hold_all(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        pixels = np.stack([np.asarray(Image.open(path).convert("RGB").resize((96, 96))) for path in photos])
        assert RoadClassifier(**QUICK).fit(pixels, labels).predict(pixels).shape == (48,)

    def test_what_cannot_be_used_is_named_by_its_position(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        closed = io.BytesIO()
        closed.close()
        mixed = [*photos, b"<html>", closed]
        with pytest.warns(UserWarning, match="2 photos could not be used"):
            classifier = RoadClassifier(**QUICK).fit(mixed, [*labels, "empty", "empty"])
        assert {str(photo.file) for photo in classifier.skipped_} == {"X[48]", "X[49]"}
        with pytest.raises(PhotoError, match=r"^X\[1\]: an HTML page"):
            classifier.predict([photos[0], b"<html>"])

    def test_nothing_is_left_in_the_temporary_folder(
        self, photos: list[str], labels: NDArray[np.str_], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        RoadClassifier(**QUICK).fit([Path(path).read_bytes() for path in photos], labels)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("method", ["fit", "predict", "predict_proba"])
    def test_one_photo_is_no_list(self, fitted: RoadClassifier, photos: list[str], method: str) -> None:
        arguments = (["empty"],) if method == "fit" else ()
        with pytest.raises(TypeError, match="expected a list of photos, got one photo"):
            getattr(copy.deepcopy(fitted), method)(photos[0], *arguments)


class TestCopies:
    @pytest.mark.parametrize("predicts_first", [False, True])
    def test_a_fitted_one_can_be_pickled_copied_and_dumped(
        self, fitted: RoadClassifier, photos: list[str], tmp_path: Path, predicts_first: bool
    ) -> None:
        expected = fitted.predict_proba(photos[:4]).tolist()
        original = pickle.loads(pickle.dumps(fitted))
        if predicts_first:
            original.predict(photos[:1])
        joblib.dump(original, tmp_path / "classifier.joblib")
        copies = [
            pickle.loads(pickle.dumps(original)),
            copy.deepcopy(original),
            joblib.load(tmp_path / "classifier.joblib"),
        ]
        for one in copies:
            assert one.predict_proba(photos[:4]).tolist() == expected
            assert one.get_params() == fitted.get_params()


class TestLabels:
    @pytest.mark.parametrize(
        ("empty", "crossing", "positive", "expected"),
        [
            ("empty", "crossing", None, "crossing"),
            ("empty", "crossing", "empty", "empty"),
            (0, 1, None, 1),
            (0, 1, 0, 0),
            (False, True, None, True),
            (False, True, False, False),
            (0.0, 1.0, 1, 1.0),
            (-1, 1, None, 1),
            ("no people", "people", None, "people"),
        ],
    )
    def test_of_any_type_come_back_as_they_went_in(
        self, photos: list[str], empty: Any, crossing: Any, positive: Any, expected: Any
    ) -> None:
        y = np.array([crossing if "crossing/" in path else empty for path in photos])
        classifier = RoadClassifier(**QUICK, positive=positive).fit(photos, y)
        assert classifier.classes_.tolist() == sorted([empty, crossing])
        assert classifier.classes_.dtype == y.dtype
        predicted = classifier.predict(photos)
        assert predicted.dtype == y.dtype
        assert set(predicted.tolist()) <= {empty, crossing}
        assert np.mean(predicted == y) > 0.9
        assert classifier.model_.facts.positive == str(expected)
        assert_threshold_rules(classifier, photos, expected)

    def test_objects_stay_objects(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        """As a column of a data frame is."""
        predicted = RoadClassifier(**QUICK).fit(photos, labels.astype(object)).predict(photos)
        assert predicted.dtype == object

    @pytest.mark.parametrize(
        ("names", "positive", "reason"),
        [
            (("empty", "crossing"), "people", "must be one of 'crossing' and 'empty', got 'people'"),
            ((0, 1), 2, "must be one of '0' and '1', got '2'"),
        ],
    )
    def test_a_positive_class_that_cannot_be_told_is_asked_for(
        self, photos: list[str], names: Sequence[Any], positive: Any, reason: str
    ) -> None:
        with pytest.raises(OptionError, match=reason):
            RoadClassifier(**QUICK, positive=positive).fit(photos, np.resize(np.array(names), len(photos)))


def assert_threshold_rules(classifier: RoadClassifier, photos: list[str], positive: Any) -> None:
    """A row is called positive where its positive column reaches the threshold."""
    column = classifier.classes_.tolist().index(positive)
    reached = classifier.predict_proba(photos)[:, column] >= classifier.model_.facts.threshold
    assert (reached == (classifier.predict(photos) == positive)).all()


class TestPredict:
    def test_probabilities_are_two_columns_that_sum_to_one(self, fitted: RoadClassifier, photos: list[str]) -> None:
        probabilities = fitted.predict_proba(photos)
        assert probabilities.shape == (48, 2)
        assert probabilities.dtype == np.float64
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)

    def test_no_photos_give_no_rows(self, fitted: RoadClassifier) -> None:
        assert fitted.predict([]).shape == (0,)
        assert fitted.predict_proba([]).shape == (0, 2)

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "save"])
    def test_nothing_works_before_fit(self, method: str, photos: list[str]) -> None:
        with pytest.raises(NotFittedError):
            getattr(RoadClassifier(), method)(photos)

    def test_an_unreadable_photo_is_told_by_name(self, fitted: RoadClassifier, photos: list[str]) -> None:
        with pytest.raises(PhotoError, match=r"'gone\.jpg': the file is missing"):
            fitted.predict([photos[0], "gone.jpg"])

    def test_score_is_accuracy(self, fitted: RoadClassifier, photos: list[str], labels: NDArray[np.str_]) -> None:
        assert fitted.score(photos, labels) == np.mean(fitted.predict(photos) == labels)

    @pytest.mark.parametrize("head", ["dense", "linear"])
    def test_the_saved_model_gives_the_same_probabilities(
        self, photos: list[str], labels: NDArray[np.str_], tmp_path: Path, head: str
    ) -> None:
        classifier = RoadClassifier(**QUICK | {"head": head}).fit(photos, labels)
        classifier.save(tmp_path / "model.onnx")
        predictions = list(load(tmp_path).predict_many(photos))
        assert [p.probability for p in predictions] == classifier.predict_proba(photos)[:, 0].tolist()  # type: ignore[union-attr]
        assert [p.label for p in predictions] == classifier.predict(photos).tolist()  # type: ignore[union-attr]


class TestInScikitLearn:
    FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)

    def test_cross_validation(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        scores = cross_val_score(RoadClassifier(**QUICK), photos, labels, cv=self.FOLDS)
        assert scores.shape == (2,)
        assert scores.mean() > 0.85

    def test_probabilities_out_of_fold(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        probabilities = cross_val_predict(
            RoadClassifier(**QUICK), photos, labels, cv=self.FOLDS, method="predict_proba"
        )
        assert probabilities.shape == (48, 2)
        assert np.mean((probabilities[:, 0] > 0.5) == (labels == "crossing")) > 0.85

    def test_a_grid_search_over_a_pipeline(self, photos: list[str], labels: NDArray[np.str_]) -> None:
        pipeline = Pipeline([("road", RoadClassifier(**QUICK))])
        search = GridSearchCV(pipeline, {"road__seed": np.arange(2)}, cv=self.FOLDS, scoring="roc_auc")
        search.fit(photos, labels)
        assert search.best_score_ > 0.85
        assert search.best_estimator_.predict(photos).shape == (48,)
