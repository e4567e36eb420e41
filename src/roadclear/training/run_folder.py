"""The run folder: everything that a training leaves, written whole or not at all, and read again.

Only this module knows the names of the files in a run folder, and `roadclear.model.model_file` those of two of them.
"""

import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from roadclear.data.dataset import LabelledPhoto
from roadclear.data.sources import root_of
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError, ModelFileError, OutputError
from roadclear.model.content_filter import hash_file, largest_chance
from roadclear.model.model_file import (
    METRICS_FILE,
    MODEL_FILE,
    is_file,
    is_folder,
    is_of_run,
    read_model_file,
    read_run_model,
)
from roadclear.model.predictor import STOCK, Model, load
from roadclear.training.config import TrainSettings
from roadclear.training.result import TrainingResult
from roadclear.training.run_files import (
    SplitRow,
    config,
    history_table,
    metrics,
    prediction_table,
    read_config,
    read_splits,
    split_table,
)
from roadclear.utils.files import check_free, lies_in, write_folder
from roadclear.utils.tables import to_json

_HISTORY = "history.csv"
_SPLITS = "splits.csv"
_PREDICTIONS = "predictions.csv"
_CONFIG = "config.toml"
_REPORT = "report.html"
_ADVICE = "name a folder of photos after the run"

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Run:
    """A run folder. Each file is read when it is asked for.

    Attributes:
        folder: path of the run folder.
        model_file: path of the model file in it.

    Example:
        >>> run = Run.open("runs/first")  # doctest: +SKIP
        >>> run.metrics["test"]["accuracy"]["value"]  # doctest: +SKIP
        0.957
    """

    folder: Path
    model_file: Path

    @classmethod
    def open(cls, path: StrPath) -> "Run":
        """Open a run folder.

        Args:
            path: a run folder, or the model file in one.

        Raises:
            ModelFileError: there is no model file, or the folder holds another model than the run's own.
        """
        given = Path(path)
        given_folder = is_folder(given)
        run = cls(given, given / MODEL_FILE) if given_folder else cls(given.parent, given)
        if not is_file(run.model_file):
            raise ModelFileError(
                f"expected a run folder, found no model file at {str(run.model_file)!r}: "
                "give a run folder or the model.onnx in one"
            )
        if given_folder:
            read_run_model(given)
        elif not is_of_run(read_model_file(given), given.parent):
            raise ModelFileError(
                f"expected the model file of a run, found another at {str(given)!r} (its SHA-256 is not the one in "
                f"{METRICS_FILE}): give a run folder, or load the file by itself"
            )
        return run

    @classmethod
    def save(
        cls,
        folder: StrPath,
        photos: StrPath,
        result: TrainingResult,
        report: bytes | None = None,
        overwrite: bool = False,
    ) -> "Run":
        """Write a run folder.

        The folder holds model.onnx, metrics.json, history.csv, splits.csv, predictions.csv, config.toml and
        report.html. It appears whole or not at all.

        Args:
            folder: path of the run folder to make.
            photos: path of the folder that was trained on.
            result: result of the training.
            report: content of report.html; None for a run without a report.
            overwrite: whether to replace a run that is there.

        Raises:
            OutputError: the folder cannot be written; see also `check_run_folder`.
        """
        files = {
            MODEL_FILE: result.model,
            METRICS_FILE: (to_json(metrics(result)) + "\n").encode(),
            _HISTORY: history_table(result),
            _SPLITS: split_table(result.data),
            _PREDICTIONS: prediction_table(result),
            _CONFIG: config(photos, result.settings),
        }
        if report is not None:
            files[_REPORT] = report
        check_run_folder(folder, photos, overwrite)
        write_folder(folder, files, overwrite)
        return cls.open(folder)

    @cached_property
    def model(self) -> Model:
        """The trained model, loaded once with the default engine."""
        return load(self.model_file)

    @property
    def settings(self) -> TrainSettings:
        """The settings of the training.

        Raises:
            OptionError: config.toml cannot be read.
        """
        return read_config(self.folder / _CONFIG)[1]

    @property
    def photos_folder(self) -> Path | None:
        """The folder that was trained on; None where config.toml does not name one.

        Raises:
            OptionError: config.toml cannot be read.
        """
        photos = read_config(self.folder / _CONFIG)[0]
        return None if photos is None else Path(photos)

    @property
    def splits(self) -> list[SplitRow]:
        """The split of every usable photo.

        Raises:
            DatasetError: splits.csv cannot be read.
        """
        return read_splits(self.folder / _SPLITS)

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json.

        Raises:
            DatasetError: metrics.json cannot be read.
        """
        file = self.folder / METRICS_FILE
        try:
            values: dict[str, Any] = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise DatasetError(f"expected the metrics of a run at {str(file)!r} ({error}): train it again") from error
        return values

    @property
    def metrics_file(self) -> Path:
        """Path of metrics.json."""
        return self.folder / METRICS_FILE

    @property
    def report_file(self) -> Path:
        """Path of the report. A run without a report has no file there."""
        return self.folder / _REPORT

    @property
    def has_photos(self) -> bool:
        """Whether the folder that was trained on is there.

        Raises:
            OptionError: config.toml cannot be read.
        """
        return (self.folder / _CONFIG).is_file() and self._photos_root() is not None

    def _photos_root(self) -> Path | None:
        """The folder that names of photos are relative to; None where it is gone. An archive is unpacked."""
        source = self.photos_folder
        root = None if source is None else root_of(source)
        return root if root is not None and root.is_dir() else None

    def test_photos(self) -> list[LabelledPhoto]:
        """List the photos that the run was tested on; see `photos_of`."""
        return self.photos_of(TEST)

    def photos_of(self, *splits: str) -> list[LabelledPhoto]:
        """List the photos of some splits.

        Args:
            splits: "train", "validation" or "test".

        Raises:
            DatasetError: there is no split table, it names no photo of these splits, or the photos folder is gone.
            OptionError: config.toml cannot be read.
        """
        table, wanted = self.folder / _SPLITS, " or ".join(splits)
        if not table.is_file():
            raise DatasetError(f"expected the run's split at {str(table)!r}, found none: {_ADVICE}")
        root = self._photos_root()
        if root is None:
            named = self.photos_folder
            found = None if named is None else str(named)
            raise DatasetError(f"expected the run's photos at {found!r}, found no folder: {_ADVICE}")
        rows = [row for row in self.splits if row.split in splits]
        if not rows:
            raise DatasetError(f"expected {wanted} photos in {str(table)!r}, found none: {_ADVICE}")
        return [LabelledPhoto(root / row.file, row.file, row.label, row.split) for row in rows]

    def seen(self, photos: Sequence[LabelledPhoto]) -> frozenset[str] | None:
        """Find photos that are in the train or validation split of the run.

        The head is trained on the first, and its stopping, temperature and threshold are chosen on the second. A photo
        counts if it is one of these files, or has the content of one. Where the folder that was trained on is gone,
        photos are recognised by their relative paths alone.

        Args:
            photos: photos to look among.

        Returns:
            Relative paths (`file`) of the photos found; None where the folder does not say what was trained on.

        Raises:
            DatasetError: splits.csv cannot be read.
            OptionError: config.toml cannot be read.
        """
        if not ((self.folder / _SPLITS).is_file() and (self.folder / _CONFIG).is_file()):
            return None
        names = frozenset(row.file for row in self.splits if row.split in (TRAIN, VALIDATION))
        root = self._photos_root()
        if root is None:
            return frozenset(photo.file for photo in photos if photo.file in names)
        originals = {Path(os.path.realpath(root / name)) for name in names}
        here = {photo.file for photo in photos if Path(os.path.realpath(photo.path)) in originals}
        return frozenset(here | _with_content_of(originals, [photo for photo in photos if photo.file not in here]))


def check_run_folder(folder: StrPath, photos: StrPath, overwrite: bool) -> None:
    """Refuse a run folder that cannot be written, before the training starts.

    Args:
        folder: path of the run folder to make.
        photos: path of the folder to train on.
        overwrite: whether a run that is there may be replaced.

    Raises:
        OutputError: the folder lies among the photos, where it would be taken for a label. Or something is there
            that must not be replaced or is no run. Or the folder cannot be written.
    """
    if lies_in(folder, photos):
        raise OutputError(f"the run folder {str(folder)!r} would lie among the photos: choose another with --out")
    check_free(folder, overwrite)
    if Path(folder).is_dir() and any(Path(folder).iterdir()) and not (Path(folder) / MODEL_FILE).is_file():
        raise OutputError(f"{str(folder)!r} holds other things than a run, and is left alone: choose another name")


def open_model(model: "StrPath | Run | Model", engine: str) -> tuple[Model, Run | None]:
    """Load a model, and find the run that it is from.

    Args:
        model: a model, a run, or a path: of a run folder or a model file, or "stock".
        engine: inference engine, "openvino" or "onnxruntime"; a model that is loaded already keeps its own.

    Returns:
        The model, and its run; None where the model is given by itself.

    Raises:
        ModelFileError: there is no model, or the file is not a model of ours.
        OptionError: the engine is unknown.
    """
    if isinstance(model, Model):
        return model, None
    if isinstance(model, Run):
        return load(model.model_file, engine), model
    loaded = load(model, engine)
    if os.fspath(model) == STOCK:
        return loaded, None
    if is_folder(Path(model)):
        return loaded, Run(Path(model), Path(model) / MODEL_FILE)
    file = Path(model)
    return loaded, Run(file.parent, file) if is_of_run(loaded.data, file.parent) else None


def find_seen(model: Model, run: Run | None, photos: Sequence[LabelledPhoto]) -> tuple[frozenset[str] | None, int]:
    """Find photos that a model was trained on, by its run folder and by the filter in the model file.

    The run folder is asked as `Run.seen` says. Where the folder that was trained on is gone, and the model file has
    a filter, contents count and names do not.

    Args:
        model: the model.
        run: run folder of the model; None for a model by itself.
        photos: photos to look among.

    Returns:
        Relative paths (`file`) of the photos found, or None where nothing says what the model was trained on. And the
        largest number of them that may be found by chance, with 99% probability.

    Raises:
        DatasetError: splits.csv cannot be read.
        OptionError: config.toml cannot be read.
    """
    known = model.facts.trained_on
    if known is None:
        return (None if run is None else run.seen(photos)), 0
    names = run.seen(photos) if run is not None and run.has_photos else None
    matches = known.find(photos)
    sure = names or frozenset()
    return sure | matches, largest_chance(len(photos), known.filters) if matches - sure else 0


def _with_content_of(originals: Iterable[Path], photos: Sequence[LabelledPhoto]) -> set[str]:
    """Find photos with the content of an original. Only files of equal size are read."""
    sizes = {photo.file: _size(photo.path) for photo in photos}
    common = set(sizes.values()) - {None}
    contents = {hash_file(original) for original in originals if _size(original) in common} - {None}
    wanted = {_size(original) for original in originals} - {None}
    return {photo.file for photo in photos if sizes[photo.file] in wanted and hash_file(photo.path) in contents}


def _size(path: Path) -> int | None:
    """Return the size of a file in bytes; None for what is no file, or vanishes."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
