"""The run folder: everything that a training left, written whole or not at all."""

import os
import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roadclear.data.groups import one_sided_sources
from roadclear.data.split import SPLITS
from roadclear.errors import OptionError, OutputError
from roadclear.images.decode import skipped_values
from roadclear.metrics.classification import evaluation_values
from roadclear.metrics.intervals import estimate_values
from roadclear.metrics.reliability import Reliability
from roadclear.model.prediction import UNSURE
from roadclear.model.predictor import MODEL_FILE
from roadclear.training.config import TrainSettings
from roadclear.training.leakage import Leakage
from roadclear.training.prepare import PreparedData
from roadclear.training.result import TrainingResult
from roadclear.utils.files import check_free, write_folder
from roadclear.utils.settings import to_toml
from roadclear.utils.tables import csv_bytes, to_json

CONFIG_FILE = "config.toml"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"


def write_run(
    folder: str | os.PathLike[str],
    photos: str | os.PathLike[str],
    training: TrainingResult,
    page: bytes | None,
    overwrite: bool = False,
) -> None:
    """Write a run folder: model.onnx, metrics.json, history.csv, splits.csv, predictions.csv, config.toml, report.html.

    Args:
        folder: to be made.
        photos: the folder that was trained on.
        training: its result.
        page: the report, or None for a run without.
        overwrite: whether a run that is there is replaced.

    Raises:
        OutputError: it cannot be written; no half of it stays.
    """
    files = {
        MODEL_FILE: training.model,
        METRICS_FILE: (to_json(metrics(training)) + "\n").encode(),
        "history.csv": _history(training),
        "splits.csv": split_table(training.data),
        "predictions.csv": _predictions(training),
        CONFIG_FILE: _config(photos, training.settings),
    }
    if page is not None:
        files[REPORT_FILE] = page
    check_run_folder(folder, photos, overwrite)
    write_folder(folder, files, overwrite)


def check_run_folder(folder: str | os.PathLike[str], photos: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work is done for it, to write among the photos or over what no training left there.

    Raises:
        OutputError: the folder lies among the photos, where it would be taken for a label; something is there and
            must not be replaced, or is no run; or it cannot be written.
    """
    if Path(folder).resolve().is_relative_to(Path(photos).resolve()):
        raise OutputError(f"the run folder {str(folder)!r} would lie among the photos: choose another with --out")
    check_free(folder, overwrite)
    if Path(folder).is_dir() and any(Path(folder).iterdir()) and not (Path(folder) / MODEL_FILE).is_file():
        raise OutputError(f"{str(folder)!r} holds other things than a run, and is left alone: choose another name")


def split_table(placement: PreparedData) -> bytes:
    """The split as CSV: file, label, split, group."""
    placed = zip(placement.photos, placement.splits, placement.groups.tolist(), strict=True)
    rows = ([photo.file, photo.label, part, group] for photo, part, group in placed)
    return csv_bytes(("file", "label", "split", "group"), rows)


def metrics(training: TrainingResult) -> dict[str, Any]:
    """What metrics.json holds, as plain values; a metric that is undefined has the value None."""
    return {
        "positive": training.facts.positive,
        "negative": training.facts.negative,
        "threshold": training.facts.threshold,
        "aim": training.facts.aim,
        "temperature": training.facts.temperature,
        "unsure_band": asdict(training.facts.band),
        "distance_limit": training.facts.distance_limit,
        "head": training.facts.head,
        "best_epoch": training.head.trained.best_epoch,
        "unfrozen": training.settings.unfreeze,
        "unfreezing_trials": [asdict(trial) for trial in training.trials],
        "splits": _split_counts(training),
        **{part: evaluation_values(result) for part, result in training.evaluations.items()},
        "reliability": {part: _reliability_values(result) for part, result in training.reliability.items()},
        "per_source": {
            source: {"accuracy": estimate_values(accuracy)} for source, accuracy in training.per_source.items()
        },
        "one_sided_sources": one_sided_sources(training.data.photos),
        "leakage": _leakage_values(training.leakage),
        "linear_head": {part: evaluation_values(result) for part, result in training.linear.items()},
        "timing": {name: round(value, 3) for name, value in training.timing.items()},
        "skipped": skipped_values(training.data.skipped),
    }


def _reliability_values(reliability: Reliability) -> dict[str, Any]:
    return {
        "before_calibration": asdict(reliability.before),
        "after_calibration": asdict(reliability.after),
        "unsure": estimate_values(reliability.unsure),
        "covered": {label: estimate_values(share) for label, share in reliability.covered.items()},
        "unfamiliar": estimate_values(reliability.unfamiliar),
    }


def _leakage_values(leakage: Leakage) -> dict[str, Any]:
    """The names in metrics.json are a file format."""
    values = asdict(leakage)
    names = {"leaking_photos": "straddling", "expected_leaks": "would_straddle"}
    return {names.get(name, name): value for name, value in values.items()}


def read_config(path: str | os.PathLike[str]) -> tuple[str | None, TrainSettings]:
    """The photos and options in a config.toml.

    Raises:
        OptionError: it cannot be read, or holds what is no option.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"expected a config.toml of a run at {str(path)!r}: {error}") from error
    photos = values.pop("photos", None)
    if photos is not None and not isinstance(photos, str):
        raise OptionError(f"photos must be the path of a folder, got {photos!r}")
    return photos, TrainSettings.from_mapping(values)


def _config(photos: str | os.PathLike[str], settings: TrainSettings) -> bytes:
    """The settings that have a value. A path that is not Unicode cannot be written in TOML, and is replaced."""
    comment = "# Repeat this run: roadclear train --config config.toml --out ANOTHER_FOLDER\n"
    values = {"photos": str(Path(photos).resolve()), **asdict(settings)}
    return (comment + to_toml(values)).encode(errors="replace")


def _split_counts(training: TrainingResult) -> dict[str, dict[str, int]]:
    labels = (training.facts.positive, training.facts.negative)
    placement = training.data
    counts = Counter((part, photo.label) for part, photo in zip(placement.splits, placement.photos, strict=True))
    return {
        part: {"n": sum(counts[part, label] for label in labels), **{label: counts[part, label] for label in labels}}
        for part in SPLITS
        if part in placement.splits
    }


def _history(training: TrainingResult) -> bytes:
    header = ("epoch", "train_loss", "validation_loss", "validation_accuracy")
    return csv_bytes(header, (list(asdict(epoch).values()) for epoch in training.head.trained.history))


def _predictions(training: TrainingResult) -> bytes:
    facts, placement = training.facts, training.data
    unsure = facts.band.covers(training.probabilities).tolist()
    measured = zip(training.probabilities.tolist(), unsure, training.distances.tolist(), strict=True)
    rows = []
    for photo, part, (probability, is_unsure, distance) in zip(
        placement.photos, placement.splits, measured, strict=True
    ):
        predicted = facts.positive if probability >= facts.threshold else facts.negative
        answer = UNSURE if is_unsure else predicted
        flags = ["yes" if flag else "no" for flag in (predicted == photo.label, distance > facts.distance_limit)]
        rows.append([photo.file, photo.label, part, probability, predicted, flags[0], answer, distance, flags[1]])
    header = ("file", "label", "split", "probability", "predicted", "correct", "answer", "distance", "unfamiliar")
    return csv_bytes(header, rows)
