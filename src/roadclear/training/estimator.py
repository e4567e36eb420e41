"""The classifier in scikit-learn's manner: photos in, labels and probabilities out."""

import os
import tempfile
import warnings
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder, with_split
from roadclear.data.labels import choose_positive
from roadclear.data.split import TRAIN, VALIDATION
from roadclear.errors import DatasetError, OptionError, PhotoError
from roadclear.features.cache import open_cache
from roadclear.images.decode import UnreadablePhoto
from roadclear.images.photo import HeldPhoto, Photo, check_photo_list, hold_or_error, png_bytes
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.utils.files import as_output_error
from roadclear.utils.paths import default_cache_path
from roadclear.utils.threads import ordered_map, worker_threads

_SHARES = {TRAIN: 0.85, VALIDATION: 0.15}
_OWN = ("cache", "random_state")
_OF_FOLDERS = ("split", "group_by_page", "group_by_author")


@dataclass(kw_only=True, eq=False, repr=False)
class RoadClassifier(TrainSettings, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Two-class photo classifier: a MobileNetV2 with a small head. The MobileNetV2 is frozen, but for chosen blocks.

    A photo is given as a path, as the bytes of a file, as a file object opened in binary mode, as a PIL image, or as a
    uint8 RGB array [height, width, 3].

    With `weights="stock"`, or the path of an earlier run, the training starts from this model. Few photos then suffice.
    A test by `cross_val_score` does not know which test photos this model has seen: `roadclear.cross_validate` does.

    `fit` keeps 15% of the photos for early stopping and the threshold, by whole groups of near-duplicates. Test on
    other photos: `cross_val_score(RoadClassifier(), photos, labels, cv=LookAlikeFolds(5))` keeps near-duplicates out
    of the test, see `roadclear.data.cv`. Parameters are those of `roadclear.TrainSettings`, and the three below.

    Args:
        positive: class whose probability is compared with the threshold. None takes True or 1 over False or 0, and of
            two names the one that does not name an absence ("empty", "no-people").
        cache: whether embeddings are kept in the user's feature cache between fits.
        random_state: seed by scikit-learn's name, used in place of `seed`: an integer from 0 to 2**32 - 1, or a
            `numpy.random.RandomState`, from which each `fit` draws its seed. None uses `seed`.

    Attributes:
        classes_: the two classes, sorted; columns of `predict_proba`.
        model_: the trained `roadclear.Model`.
        skipped_: photos that could not be used, with reasons. A photo that was not given as a path is named by its
            position, as in "X[3]".
        seen_: number of photos of the last fit that the model in `weights` was trained on. They are training photos,
            unless the other photos are too few.

    Example:
        >>> classifier = RoadClassifier(random_state=0).fit(photos, labels)  # doctest: +SKIP
        >>> classifier.predict(["photo.jpg"])  # doctest: +SKIP
        array(['crossing'], dtype='<U8')
    """

    cache: bool = True
    random_state: int | np.random.RandomState | None = None

    # Settings are equal by value and print every option. Estimators of scikit-learn are themselves, and print changes.
    __eq__ = object.__eq__
    __hash__ = object.__hash__
    __repr__ = BaseEstimator.__repr__

    def __post_init__(self) -> None:
        """Check nothing: scikit-learn's estimators check their parameters in `fit`."""

    def fit(self, X: Iterable[Photo], y: ArrayLike, groups: Iterable[Hashable] | None = None) -> "RoadClassifier":
        """Train on photos.

        Args:
            X: [n] photos: a list, or an array of paths or of pixels [n, height, width, 3].
            y: [n] labels of two classes, of any type that sorts.
            groups: [n] groups, for example cameras or scenes. Photos of one group are on one side of the inner split.
                None in the place of a photo's group: the photo belongs to no group.

        Raises:
            TypeError, ValueError: the lengths differ, `X` is no list, or an object in it is no photo.
            DatasetError: the labels are not of two classes, or a class has too few photos.
            OptionError: a parameter cannot work, or needs the tables of a folder: use `fit_folder`.
            OutputError: the cache, or the temporary files of photos without a path, cannot be written.
            WeightsError, EngineError: the base network cannot be loaded or run.
        """
        check_photo_list(X)
        photos = list(X)
        if y is None:
            raise ValueError("RoadClassifier requires y to be passed, but the target y is None: give the labels")
        targets = np.asarray(y)
        if targets.shape != (len(photos),):
            raise ValueError(f"expected one label for each of the {len(photos)} photos, got labels {targets.shape}")
        classes = np.unique(targets)
        if len(classes) != 2:
            raise DatasetError(f"expected labels of two classes, found {len(classes)}: {classes[:6].tolist()}")
        self._refuse_folder_options(photos)
        scenes = _scenes(groups, len(photos))
        with _as_files(photos) as files:
            labelled, unreadable = [], []
            for number, file in enumerate(files):
                name = _name(photos[number], number)
                if isinstance(file, PhotoError):
                    unreadable.append(UnreadablePhoto(Path(name), file.reason))
                else:
                    labelled.append(LabelledPhoto(file, name, str(targets[number]), scene=scenes[number]))
            return self._fit(labelled, classes, unreadable)

    def fit_folder(self, folder: str | os.PathLike[str]) -> "RoadClassifier":
        """Train on a labelled folder, folder/<label>/*. Photos of one scene (manifest.csv) stay together.

        A split of the user, by `split` or by folders train/ and val/, is kept. Photos of a test split are not trained
        on.

        Raises:
            DatasetError: the folder is not a labelled folder, or has too few photos.
            OptionError, OutputError, WeightsError, EngineError: see `fit`.
        """
        dataset = load_folder(folder)
        if self.split is not None:
            dataset = with_split(dataset, self.split)
        return self._fit(dataset.photos, np.array(dataset.labels))

    def predict(self, X: Iterable[Photo]) -> NDArray[Any]:
        """Classes [n] of photos, by the model's threshold.

        Args:
            X: [n] photos, as `fit` takes them.

        Raises:
            PhotoError: a photo cannot be used.
            TypeError, ValueError: `X` is no list, or an object in it is no photo.
        """
        called = self._probabilities(X) >= self.model_.facts.threshold
        return np.asarray(self.classes_[np.where(called, self._positive_column, 1 - self._positive_column)])

    def predict_proba(self, X: Iterable[Photo]) -> NDArray[np.float64]:
        """Probabilities, float64 [n, 2], in the order of `classes_`.

        Args:
            X: [n] photos, as `fit` takes them.

        Raises:
            PhotoError: a photo cannot be used.
            TypeError, ValueError: `X` is no list, or an object in it is no photo.
        """
        p = self._probabilities(X)
        return np.column_stack((1 - p, p) if self._positive_column == 1 else (p, 1 - p))

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the model file, which `roadclear.load` reads.

        Args:
            path: file to write.
            overwrite: whether a file that is there is replaced.

        Raises:
            OutputError: the file cannot be written, or is there and must not be replaced.
        """
        check_is_fitted(self)
        self.model_.save(path, overwrite)

    def _fit(
        self, photos: Sequence[LabelledPhoto], classes: NDArray[Any], unreadable: Sequence[UnreadablePhoto] = ()
    ) -> "RoadClassifier":
        dataset = Dataset(Path(), tuple(photos), (str(classes[0]), str(classes[1])))
        settings = self._settings(classes)
        with open_cache(default_cache_path() if self.cache else None) as cache:
            training = train(dataset, settings, cache, shares=_SHARES)
        skipped = (*unreadable, *training.data.skipped)
        if skipped:
            warnings.warn(
                f"{len(skipped)} photos could not be used, the first being {skipped[0].file}: {skipped[0].reason}",
                stacklevel=3,
            )
        seen = training.data.seen & training.data.is_in(VALIDATION)
        if seen.any():
            warnings.warn(
                f"the model in weights was trained on {seen.sum()} of the validation photos, and too few others are "
                "there: the threshold is chosen on known photos",
                stacklevel=3,
            )
        self.classes_ = classes
        self.seen_ = int(training.data.seen.sum())
        self.skipped_ = skipped
        self.model_ = Model(training.model, self.engine)
        return self

    def _settings(self, classes: NDArray[Any]) -> TrainSettings:
        """The parameters, checked, as settings of a training."""
        parameters = self.get_params(deep=False)
        values = {name: _plain(value) for name, value in parameters.items() if value is not None and name not in _OWN}
        if self.random_state is not None:
            values["seed"] = _seed(self.random_state)
        return TrainSettings.from_mapping({**values, "positive": _positive_label(classes, self.positive)})

    def _refuse_folder_options(self, photos: Sequence[Photo]) -> None:
        for name in _OF_FOLDERS:
            if getattr(self, name):
                raise OptionError(
                    f"{name} needs the tables of a labelled folder, which fit does not read: use fit_folder, "
                    "or give fit the groups"
                )
        if self.group_by is not None and not all(isinstance(photo, str | os.PathLike) for photo in photos):
            raise OptionError("group_by compares file names, and a photo has none: give fit the groups instead")

    def _probabilities(self, X: Iterable[Photo]) -> NDArray[np.float64]:
        check_is_fitted(self)
        probabilities = []
        for number, prediction in enumerate(self.model_.predict_many(X)):
            if isinstance(prediction, UnreadablePhoto):
                name = f"X[{number}]" if prediction.file is None else repr(str(prediction.file))
                raise PhotoError(f"{name}: {prediction.reason}")
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


@contextmanager
def _as_files(photos: Sequence[Photo]) -> Iterator[list[Path | PhotoError]]:
    """Give every photo a file while a training lasts, or the reason why the photo cannot be used.

    A training reads each photo several times and knows the photo by the SHA-256 of its file. So a photo without a path
    gets a temporary file: bytes as they are, which gives the features of the original file, and pixels as PNG, which
    loses nothing. The rest of the training then has one way to read photos.
    """
    if all(isinstance(photo, str | os.PathLike) for photo in photos):
        yield [Path(photo) for photo in photos]  # type: ignore[arg-type]
        return
    with tempfile.TemporaryDirectory(prefix="roadclear-") as folder:

        def write(task: tuple[int, HeldPhoto | PhotoError]) -> Path | PhotoError:
            number, photo = task
            if isinstance(photo, Path | PhotoError):
                return photo
            file = Path(folder) / str(number)
            try:
                content = photo if isinstance(photo, bytes) else png_bytes(photo)
            except PhotoError as error:
                return error
            with as_output_error(file, "set TMPDIR to a folder that has space"):
                file.write_bytes(content)
            return file

        yield list(ordered_map(write, enumerate(map(hold_or_error, photos)), worker_threads()))


def _name(photo: Photo, number: int) -> str:
    """The path of a photo, or its position where it has none."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else f"X[{number}]"


def _scenes(groups: Iterable[Hashable] | None, photos: int) -> list[str | None]:
    """Number groups of any type, as scenes of photos; None for a photo of no group."""
    if groups is None:
        return [None] * photos
    values = list(groups)
    if len(values) != photos:
        raise ValueError(f"expected one group for each of the {photos} photos, got {len(values)}")
    numbers: dict[Hashable, int] = {}
    return [None if value is None else str(numbers.setdefault(value, len(numbers))) for value in values]


def _seed(random_state: Any) -> int:
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    raise OptionError(
        f"random_state must be None, an integer or a numpy.random.RandomState, got {random_state!r}: give a number"
    )


def _positive_label(classes: NDArray[Any], positive: Any) -> str:
    if positive is None and classes.dtype.kind in "biuf":
        return str(classes[1])
    # Compared as values first: 1 means the class 1.0 too.
    named = next((c for c in classes if c == positive), positive)
    return choose_positive([str(c) for c in classes], None if named is None else str(named))


def _plain(value: Any) -> Any:
    """A parameter as Python's own number: a search over a grid gives those of NumPy."""
    return value.item() if isinstance(value, np.generic) else value
