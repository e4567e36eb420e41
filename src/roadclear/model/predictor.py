"""A trained model: load it, predict with it, see where it looked."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.errors import EngineError, ModelFileError, OptionError, PhotoError
from roadclear.features.engine import Engine, check_engine, open_engine
from roadclear.images.decode import UnreadablePhoto, read_bytes
from roadclear.images.photo import HeldPhoto, Photo, check_photo_list, held_pixels, hold_or_error, hold_photo
from roadclear.model.decision.conformal import UnsureBand
from roadclear.model.decision.promise import Promise, choose_band
from roadclear.model.metadata import ModelFacts, read_facts, read_kept_facts
from roadclear.model.model_file import MODEL_FILE, is_folder, read_model_file, read_run_model
from roadclear.model.prediction import Explanation, Prediction
from roadclear.model.settings import PromiseSettings
from roadclear.utils.files import check_free_file, write_file
from roadclear.utils.text import printable
from roadclear.utils.threads import ordered_map, worker_threads

if TYPE_CHECKING:  # predicting must start fast, and draws nothing
    from roadclear.model.drawing.grid import Cell

STOCK = "stock"

_PREDICTED = ("probability", "distance", "unsure", "unfamiliar")
_COMPILED = ("_predictor", "_explainer")

Result = TypeVar("Result")


class Model:
    """A model file that is ready to predict. Thread-safe; can be copied and pickled.

    A photo is given as a path, as the bytes of a file, as a file object opened in binary mode, as a PIL image, or as a
    uint8 RGB array [height, width, 3]. The size of the photo does not matter.

    Attributes:
        facts: what the file says of itself.
        data: the file's content.

    Args:
        data: content of a model file.
        engine: "openvino" or "onnxruntime".
        precision: "f32" or "bf16".
        kept: whether the checked facts and the compiled graph are kept in the cache folder, so that the next process
            starts faster.

    Raises:
        ModelFileError: the content is not a model of ours.
        OptionError: no such engine or precision.

    Example:
        >>> model = roadclear.load()  # doctest: +SKIP
        >>> model.predict("photo.jpg").answer  # doctest: +SKIP
        'crossing'
    """

    def __init__(self, data: bytes, engine: str = "openvino", precision: str = "f32", kept: bool = False) -> None:
        check_engine(engine, precision)
        self.data = data
        sha256 = hashlib.sha256(data).hexdigest() if kept else None
        self.facts: ModelFacts = read_facts(data) if sha256 is None else read_kept_facts(data, sha256)
        self._engine_options = engine, precision, sha256
        self._own_band = True

    def __repr__(self) -> str:
        facts = self.facts
        return (
            f"Model(positive={facts.positive!r}, negative={facts.negative!r}, threshold={facts.threshold:.4g}, "
            f"size={facts.size}, head={facts.head!r}, weights={facts.weights_name!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the compiled engines, which cannot be copied. A copy compiles its own when it first predicts."""
        return {name: value for name, value in vars(self).items() if name not in _COMPILED}

    def with_rule(
        self,
        threshold: float | None = None,
        unsure: tuple[float, float] | None = None,
        coverage: float | None = None,
        max_error: float | None = None,
        max_unsure: float | None = None,
    ) -> "Model":
        """Return a model that turns the same probabilities into answers by another rule. `data` keeps the old rule.

        Args:
            threshold: least probability of a positive prediction, 0 to 1; None for the model's own.
            unsure: probabilities from low to high with the answer "unsure", with the threshold between them. Equal
                ends mean that no photo is unsure. None for the model's own band, stretched to the threshold: a coverage
                still holds.
            coverage: least share of photos of each label with the correct answer or "unsure", 0.5 to below 1. The band
                is that of a training with this coverage. `facts.band.coverage` is lower where the photos behind the
                band are too few to promise it. None for no request.
            max_error: largest share of wrong answers among the answered photos, above 0 to 0.5. The band is that of a
                training with this promise, and `facts.promise` says what can be promised. None for no request.
            max_unsure: largest share of photos that may be unsure to keep `max_error`; None for 0.25.

        Raises:
            OptionError: a number is out of its range, two of a band, a coverage and an error are given, or the model
                file does not hold the probabilities of photos outside its training.

        Example:
            >>> careful = model.with_rule(max_error=0.005)  # doctest: +SKIP
        """
        limit = self.facts.threshold if threshold is None else threshold
        if not 0 <= limit <= 1:
            raise OptionError(f"threshold must be between 0 and 1, got {limit}")
        promised = self.facts.promise if limit == self.facts.threshold and unsure is None else None
        if coverage is not None or max_error is not None or max_unsure is not None:
            given = {} if max_unsure is None else {"max_unsure": max_unsure}
            settings = PromiseSettings(coverage=coverage, max_error=max_error, **given)
            band, promised = self._band(limit, unsure, settings)
        elif unsure is None:
            band = self.facts.band.around(limit)
        else:
            band = UnsureBand(*unsure, coverage=0.0)
            if not 0 <= band.low <= limit <= band.high <= 1:
                raise OptionError(
                    f"unsure must be two numbers between 0 and 1 with the threshold {limit:.4g} between them, "
                    f"got {band.low} and {band.high}"
                )
        other = copy(self)
        other.facts = replace(self.facts, threshold=limit, band=band, promise=promised)
        other._own_band = band == self.facts.band
        return other

    def _band(
        self, threshold: float, unsure: tuple[float, float] | None, settings: PromiseSettings
    ) -> tuple[UnsureBand, Promise | None]:
        """Compute the unsure band for a promise.

        Raises:
            OptionError: see `with_rule`.
        """
        if unsure is not None:
            raise OptionError("expected an unsure band or a promise, found both: give one of them")
        if self.facts.validation is None:
            raise OptionError(
                "expected a model file that holds the probabilities of its validation photos, found an older one: give "
                "--unsure LOW HIGH, or train the model again"
            )
        return choose_band(self.facts.validation, threshold, settings)

    def predict(self, photo: Photo) -> Prediction:
        """Predict one photo.

        Args:
            photo: path, bytes, file object, PIL image or uint8 RGB array [height, width, 3].

        Raises:
            PhotoError: the photo cannot be used.
            ModelFileError: the model gives NaN or another impossible number.
            TypeError, ValueError: the object is no photo; see `roadclear.images.photo.load_photo`.
        """
        return self._predict(hold_photo(photo))

    def predict_many(self, photos: Iterable[Photo]) -> Iterator[Prediction | UnreadablePhoto]:
        """Predict photos on all cores, in their order; memory does not grow with their number.

        Args:
            photos: list, generator or array of photos, each as `predict` takes it. A photo is taken before the next
                one is asked for, so a generator may fill one array again and again.

        Raises:
            TypeError, ValueError: `photos` is no list, or an object in it is no photo.
        """
        check_photo_list(photos)
        _ = self._predictor  # made here, before the threads ask for it
        return _each(self._predict, photos)

    def explain(self, photo: Photo) -> Explanation:
        """Predict one photo, and say what every place of it adds.

        Args:
            photo: see `predict`.

        Raises:
            PhotoError: the photo cannot be used.
            ModelFileError: the model gives NaN or another impossible number.
            TypeError, ValueError: the object is no photo; see `roadclear.images.photo.load_photo`.
        """
        return self._explain(hold_photo(photo))

    def explain_many(self, photos: Iterable[Photo]) -> Iterator[Explanation | UnreadablePhoto]:
        """Explain photos on all cores, in their order; memory does not grow with their number.

        Args:
            photos: see `predict_many`.

        Raises:
            TypeError, ValueError: `photos` is no list, or an object in it is no photo.
        """
        check_photo_list(photos)
        _ = self._explainer  # made here, before the threads ask for it
        return _each(self._explain, photos)

    def show(
        self, photos: Iterable[Photo], labels: Sequence[str | None] | None = None, columns: int = 4
    ) -> Image.Image:
        """Draw photos with their predictions, side by side; see `roadclear.model.drawing.grid.prediction_grid`.

        Args:
            photos: at least one photo, each as `predict` takes it. For a photo that cannot be used the picture says
                why.
            labels: true label of each photo, None where it is not known.
            columns: photos in a row.

        Raises:
            OptionError: there is no photo, there are not as many labels, or the columns are out of their range.
            TypeError, ValueError: `photos` is no list, or an object in it is no photo.
        """
        from roadclear.model.drawing.grid import prediction_grid

        return prediction_grid(read_cells(self, photos, labels), self.facts, columns)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the model file.

        Args:
            path: file to write.
            overwrite: whether a file that is there is replaced.

        Raises:
            OutputError: the file cannot be written, or is there and must not be replaced.
        """
        check_free_file(path, overwrite, advice="choose another name, or pass overwrite=True")
        write_file(path, self.data, overwrite=overwrite)

    @cached_property
    def _predictor(self) -> Engine:
        return open_engine(self.data, _PREDICTED, *self._engine_options)

    @cached_property
    def _explainer(self) -> Engine:
        return open_engine(self.data, [*_PREDICTED, "logit", "heatmap", "offset"], *self._engine_options)

    def _predict(self, photo: HeldPhoto) -> Prediction:
        return self._prediction(photo, self._compute(self._predictor, photo))

    def _explain(self, photo: HeldPhoto) -> Explanation:
        outputs = self._compute(self._explainer, photo)
        prediction = self._prediction(photo, outputs)
        return Explanation(prediction, float(outputs["logit"]), outputs["heatmap"], float(outputs["offset"]))

    def _compute(self, engine: Engine, photo: HeldPhoto) -> Mapping[str, NDArray[Any]]:
        """Compute the outputs of a photo, and refuse numbers that are none.

        Raises:
            PhotoError: the photo cannot be used.
            EngineError: the engine fails on the graph.
            ModelFileError: the graph gives NaN or infinity, or a probability outside of 0 to 1.
        """
        pixels = held_pixels(photo, self.facts.size)
        try:
            outputs = engine.infer(pixels)
        except Exception as error:  # engines raise errors of many kinds
            raise EngineError(f"the engine cannot run the model ({_last_line(error)}): train it again") from error
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                raise ModelFileError(f"expected a number as {name}, the model gave {values!s:.40}: train it again")
        if not 0 <= float(outputs["probability"]) <= 1:
            raise ModelFileError(
                f"expected a probability from 0 to 1, the model gave {outputs['probability']!s:.40}: train it again"
            )
        return outputs

    def _prediction(self, photo: HeldPhoto, outputs: Mapping[str, NDArray[Any]]) -> Prediction:
        p = float(outputs["probability"])
        return Prediction(
            file=photo if isinstance(photo, Path) else None,
            label=self.facts.positive if p >= self.facts.threshold else self.facts.negative,
            probability=p,
            unsure=bool(outputs["unsure"]) if self._own_band else bool(self.facts.band.covers(np.array([p]))[0]),
            distance=float(outputs["distance"]),
            unfamiliar=bool(outputs["unfamiliar"]),
        )


def load(path: str | os.PathLike[str] = STOCK, engine: str = "openvino", precision: str = "f32") -> Model:
    """Load a model from its file, or from the run folder that it lies in.

    Args:
        path: of either; "stock", the default, is the model that comes with the package (write "./stock" for a run
            folder of that name).
        engine: "openvino" or "onnxruntime".
        precision: "f32" or "bf16".

    Raises:
        ModelFileError: there is no model, or not one of ours. Or a run folder holds another model than its own.
        OptionError: no such engine or precision.
    """
    if os.fspath(path) == STOCK:
        from roadclear.model.stock import stock_model

        return Model(stock_model(), engine, precision, kept=True)
    given = Path(path)
    given_folder = is_folder(given)
    data = read_run_model(given) if given_folder else read_model_file(given)
    try:
        return Model(data, engine, precision, kept=True)
    except ModelFileError as error:
        raise ModelFileError(f"{str(given / MODEL_FILE if given_folder else given)!r}: {error}") from error


def read_cells(model: Model, photos: Iterable[Photo], labels: Sequence[str | None] | None = None) -> "list[Cell]":
    """Read and predict the photos of a grid.

    Args:
        model: model that predicts.
        photos: photos, each as `Model.predict` takes it.
        labels: true label of each photo, None where it is not known.

    Raises:
        OptionError: there are not as many labels as photos.
        TypeError, ValueError: `photos` is no list, or an object in it is no photo.
    """
    from roadclear.images.thumbnails import view_photo
    from roadclear.model.drawing.grid import CELL_WIDTH, Cell

    check_photo_list(photos)

    def read(photo: HeldPhoto) -> "Cell":
        file = photo if isinstance(photo, Path) else None
        content = read_bytes(photo) if isinstance(photo, Path) else photo  # once, as the file may change
        result = replace(model._predict(content), file=file)
        return Cell(view_photo(content, CELL_WIDTH), result)

    cells = [Cell(None, cell) if isinstance(cell, UnreadablePhoto) else cell for cell in _each(read, photos)]
    labels = [None] * len(cells) if labels is None else labels
    if len(labels) != len(cells):
        raise OptionError(f"expected a label for each of {len(cells)} photos, got {len(labels)}: use None for unknown")
    return [replace(cell, true_label=label) for cell, label in zip(cells, labels, strict=True)]


def _last_line(error: Exception) -> str:
    """Return the last line of an error's text, short and printable."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[-1][:200])


def _each(answer: Callable[[HeldPhoto], Result], photos: Iterable[Photo]) -> Iterator[Result | UnreadablePhoto]:
    """Answer photos on all cores, in their order, and say of a photo that cannot be used why."""

    def answer_one(photo: HeldPhoto | PhotoError) -> Result | UnreadablePhoto:
        if isinstance(photo, PhotoError):
            return UnreadablePhoto(None, photo.reason)
        try:
            return answer(photo)
        except PhotoError as error:
            return UnreadablePhoto(photo if isinstance(photo, Path) else None, error.reason)

    # The caller's thread takes the photos: file objects and lazy PIL images are not safe in several threads.
    return ordered_map(answer_one, map(hold_or_error, photos), worker_threads())
