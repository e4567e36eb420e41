"""The classifier in scikit-learn's manner: paths in, labels and probabilities out."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.data.labels import choose_positive
from roadclear.data.split import TRAIN, VALIDATION
from roadclear.errors import DatasetError, PhotoError
from roadclear.features.cache import open_cache
from roadclear.images.decode import UnreadablePhoto
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.utils.paths import default_cache_path

_SHARES = {TRAIN: 0.85, VALIDATION: 0.15}


@dataclass(kw_only=True, eq=False, repr=False)
class RoadClassifier(TrainSettings, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Two-class photo classifier: a MobileNetV2, frozen but for the blocks that are to train, and a small head.

    `fit` keeps 15% of the photos for early stopping and the threshold, chosen by whole groups of copies; test on
    photos that it was not given. Parameters are those of `roadclear.training.config.TrainSettings`, which see.

    Args:
        positive: the class whose probability is thresholded. None takes True or 1 over False or 0, and of two
            names the one that does not name an absence ("empty", "no-people").
        cache: whether embeddings are kept in the user's feature cache between fits.

    Attributes:
        classes_: the two classes, sorted; columns of `predict_proba`.
        model_: the trained `roadclear.model.predictor.Model`.
        skipped_: photos that could not be used, with reasons.
    """

    cache: bool = True

    def __post_init__(self) -> None:
        """Check nothing: scikit-learn's estimators check their parameters in `fit`."""

    def fit(self, X: Sequence[str | os.PathLike[str]], y: ArrayLike) -> "RoadClassifier":
        """Train on photos.

        Args:
            X: [n] paths.
            y: [n] labels of two classes, of any type that sorts.

        Raises:
            ValueError: the lengths differ.
            DatasetError, OptionError: see `roadclear.errors`.
        """
        paths = [os.fspath(path) for path in X]
        targets = np.asarray(y)
        if targets.shape != (len(paths),):
            raise ValueError(f"expected one label for each of the {len(paths)} photos, got labels {targets.shape}")
        classes = np.unique(targets)
        if len(classes) != 2:
            raise DatasetError(f"expected labels of two classes, found {len(classes)}: {classes[:6].tolist()}")
        photos = [LabelledPhoto(Path(path), path, str(label)) for path, label in zip(paths, targets, strict=True)]
        return self._fit(photos, classes)

    def fit_folder(self, folder: str | os.PathLike[str]) -> "RoadClassifier":
        """Train on a labelled folder, folder/<label>/*; photos of one scene (manifest.csv) stay together.

        Raises:
            DatasetError, OptionError: see `roadclear.errors`.
        """
        dataset = load_folder(folder)
        return self._fit(dataset.photos, np.array(dataset.labels))

    def predict(self, X: Sequence[str | os.PathLike[str]]) -> NDArray[Any]:
        """Classes [n] of photos, by the model's threshold.

        Raises:
            PhotoError: a photo cannot be used.
        """
        called = self._probabilities(X) >= self.model_.facts.threshold
        return np.asarray(self.classes_[np.where(called, self._positive_column, 1 - self._positive_column)])

    def predict_proba(self, X: Sequence[str | os.PathLike[str]]) -> NDArray[np.float64]:
        """Probabilities, float64 [n, 2], in the order of `classes_`.

        Raises:
            PhotoError: a photo cannot be used.
        """
        p = self._probabilities(X)
        return np.column_stack((1 - p, p) if self._positive_column == 1 else (p, 1 - p))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, which `roadclear.load` reads.

        Raises:
            OutputError: it cannot be written.
        """
        check_is_fitted(self)
        self.model_.save(path)

    def _fit(self, photos: Sequence[LabelledPhoto], classes: NDArray[Any]) -> "RoadClassifier":
        parameters = self.get_params(deep=False)
        cache_path = default_cache_path() if parameters.pop("cache") else None
        positive = _positive_label(classes, parameters.pop("positive"))
        values = {name: _plain(value) for name, value in parameters.items() if value is not None}
        settings = TrainSettings.from_mapping({**values, "positive": positive})
        dataset = Dataset(Path(), tuple(photos), (str(classes[0]), str(classes[1])))
        with open_cache(cache_path) as cache:
            training = train(dataset, settings, cache, shares=_SHARES)
        skipped = training.data.skipped
        if skipped:
            warnings.warn(
                f"{len(skipped)} photos could not be used, the first being {skipped[0].file}: {skipped[0].reason}",
                stacklevel=3,
            )
        self.classes_ = classes
        self.skipped_ = skipped
        self.model_ = Model(training.model, self.engine)
        return self

    def _probabilities(self, X: Sequence[str | os.PathLike[str]]) -> NDArray[np.float64]:
        check_is_fitted(self)
        probabilities = []
        for prediction in self.model_.predict_many(X):
            if isinstance(prediction, UnreadablePhoto):
                raise PhotoError(f"{str(prediction.file)!r}: {prediction.reason}")
            probabilities.append(prediction.probability)
        return np.array(probabilities, dtype=np.float64)

    @property
    def _positive_column(self) -> int:
        """Where the positive class stands in `classes_`."""
        return [str(c) for c in self.classes_].index(self.model_.facts.positive)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.string = True
        return tags


def _positive_label(classes: NDArray[Any], positive: Any) -> str:
    if positive is None and classes.dtype.kind in "biuf":
        return str(classes[1])
    # Compared as values first: 1 means the class 1.0 too.
    wished = next((c for c in classes if c == positive), positive)
    return choose_positive([str(c) for c in classes], None if wished is None else str(wished))


def _plain(value: Any) -> Any:
    """A parameter as Python's own number: a search over a grid gives those of NumPy."""
    return value.item() if isinstance(value, np.generic) else value
