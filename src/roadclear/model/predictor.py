"""A trained model: load it, predict with it, see where it looked."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from roadclear.errors import ModelFileError, OptionError, PhotoError
from roadclear.features.engine import Engine, check_engine, open_engine
from roadclear.images.decode import UnreadablePhoto, read_photo
from roadclear.images.viewing import view_photo
from roadclear.model.drawing.grid import CELL_WIDTH, Cell
from roadclear.model.metadata import ModelFacts, read_facts
from roadclear.model.prediction import Explanation, Prediction
from roadclear.utils.files import write_file
from roadclear.utils.threads import ordered_map, worker_threads

MODEL_FILE = "model.onnx"
STOCK = "stock"

_PREDICTED = ("probability", "distance", "unsure", "unfamiliar")


class Model:
    """A model file that is ready to predict. Thread-safe.

    Attributes:
        facts: what the file says of itself.
        data: the file's content.

    Args:
        data: content of a model file.
        engine: "openvino" or "onnxruntime".
        precision: "f32" or "bf16".

    Raises:
        ModelFileError: the content is not a model of ours.
        OptionError: no such engine or precision.
    """

    def __init__(self, data: bytes, engine: str = "openvino", precision: str = "f32") -> None:
        check_engine(engine, precision)
        self.data = data
        self.facts: ModelFacts = read_facts(data)
        self._engine_options = engine, precision

    def predict(self, photo: str | os.PathLike[str]) -> Prediction:
        """Predict one photo.

        Raises:
            PhotoError: it cannot be used.
        """
        path = Path(photo)
        return self._prediction(path, self._predictor.infer(read_photo(path, self.facts.size)))

    def predict_many(self, photos: Sequence[str | os.PathLike[str]]) -> Iterator[Prediction | UnreadablePhoto]:
        """Predict photos on all cores, in their order; memory does not grow with their number."""
        _ = self._predictor  # made here, before the threads ask for it
        return ordered_map(self._predict_or_tell, map(Path, photos), worker_threads())

    def explain(self, photo: str | os.PathLike[str]) -> Explanation:
        """Predict one photo, and say what every place of it adds.

        Raises:
            PhotoError: it cannot be used.
        """
        path = Path(photo)
        outputs = self._explainer.infer(read_photo(path, self.facts.size))
        prediction = self._prediction(path, outputs)
        return Explanation(prediction, float(outputs["logit"]), outputs["heatmap"], float(outputs["offset"]))

    def explain_many(self, photos: Iterable[str | os.PathLike[str]]) -> Iterator[Explanation | UnreadablePhoto]:
        """Explain photos on all cores, in their order; memory does not grow with their number."""
        _ = self._explainer  # made here, before the threads ask for it
        return ordered_map(self._explain_or_tell, map(Path, photos), worker_threads())

    def show(
        self, photos: Sequence[str | os.PathLike[str]], labels: Sequence[str | None] | None = None, columns: int = 4
    ) -> Image.Image:
        """Draw photos with their predictions, side by side; see `roadclear.model.drawing.grid.prediction_grid`.

        Args:
            photos: at least one; of one that cannot be used the picture says why.
            labels: the true ones, where they are known.
            columns: photos in a row.

        Raises:
            OptionError: there is no photo, there are not as many labels, or the columns are out of their range.
        """
        from roadclear.model.drawing.grid import prediction_grid
        from roadclear.model.predictor import read_cells

        return prediction_grid(read_cells(self, photos, labels), self.facts, columns)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file.

        Raises:
            OutputError: it cannot be written.
        """
        write_file(path, self.data)

    @cached_property
    def _predictor(self) -> Engine:
        return open_engine(self.data, _PREDICTED, *self._engine_options)

    @cached_property
    def _explainer(self) -> Engine:
        return open_engine(self.data, [*_PREDICTED, "logit", "heatmap", "offset"], *self._engine_options)

    def _predict_or_tell(self, path: Path) -> Prediction | UnreadablePhoto:
        try:
            return self.predict(path)
        except PhotoError as error:
            return UnreadablePhoto(path, error.reason)

    def _explain_or_tell(self, path: Path) -> Explanation | UnreadablePhoto:
        try:
            return self.explain(path)
        except PhotoError as error:
            return UnreadablePhoto(path, error.reason)

    def _prediction(self, path: Path, outputs: Mapping[str, NDArray[Any]]) -> Prediction:
        p = float(outputs["probability"])
        return Prediction(
            file=path,
            label=self.facts.positive if p >= self.facts.threshold else self.facts.negative,
            probability=p,
            unsure=bool(outputs["unsure"]),
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
        ModelFileError: there is no model, or not one of ours.
        OptionError: no such engine or precision.
    """
    if os.fspath(path) == STOCK:
        from roadclear.model.stock import stock_model

        return Model(stock_model(), engine, precision)
    file = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"expected a model file at {str(file)!r}, found none that can be read ({error.strerror}): "
            "give a run folder or a model.onnx"
        ) from error
    try:
        return Model(data, engine, precision)
    except ModelFileError as error:
        raise ModelFileError(f"{str(file)!r}: {error}") from error


def read_cells(
    model: "Model", photos: Sequence[str | os.PathLike[str]], labels: Sequence[str | None] | None = None
) -> list[Cell]:
    """Read and predict the photos of a grid.

    Args:
        model: that predicts.
        photos: paths.
        labels: the true one of each photo, None where it is not known.

    Raises:
        OptionError: there are not as many labels as photos.
    """
    labels = [None] * len(photos) if labels is None else labels
    if len(labels) != len(photos):
        raise OptionError(f"expected a label for each of {len(photos)} photos, got {len(labels)}: use None for unknown")
    return [_read_cell(result, label) for result, label in zip(model.predict_many(photos), labels, strict=True)]


def _read_cell(result: "Prediction | UnreadablePhoto", label: str | None) -> Cell:
    from roadclear.images.decode import UnreadablePhoto

    if isinstance(result, UnreadablePhoto):
        return Cell(None, result, label)
    try:
        return Cell(view_photo(result.file, CELL_WIDTH), result, label)
    except PhotoError as error:  # it was changed since it was predicted
        return Cell(None, UnreadablePhoto(result.file, error.reason), label)
