"""What the files of a run folder hold: from a training's result to bytes, and back."""

import csv
import hashlib
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadclear.data.groups import one_sided_sources
from roadclear.data.split import SPLITS
from roadclear.errors import DatasetError, OptionError
from roadclear.images.decode import skipped_values
from roadclear.metrics.classification import evaluation_values
from roadclear.metrics.intervals import estimate_values
from roadclear.metrics.reliability import Reliability
from roadclear.model.model_file import SHA256_KEY
from roadclear.model.prediction import UNSURE
from roadclear.training.config import TrainSettings
from roadclear.training.leakage import Leakage
from roadclear.training.limits import limits_of
from roadclear.training.prepare import PreparedData
from roadclear.training.result import CrossValidated, TrainingResult
from roadclear.utils.settings import to_toml
from roadclear.utils.storage import address_of
from roadclear.utils.tables import csv_bytes, read_records

_SPLIT_COLUMNS = ("file", "label", "split", "group")


@dataclass(frozen=True)
class SplitRow:
    """One photo in the split table of a run.

    Attributes:
        file: path relative to the photos folder, with forward slashes.
        label: label of the photo.
        split: "train", "validation" or "test".
        group: number of the group; photos of one group are in one split.
    """

    file: str
    label: str
    split: str
    group: int


def split_table(data: PreparedData) -> bytes:
    """Write the split as CSV: file, label, split, group."""
    rows = zip(data.photos, data.splits, data.groups.tolist(), strict=True)
    return csv_bytes(_SPLIT_COLUMNS, ([photo.file, photo.label, split, group] for photo, split, group in rows))


def read_splits(table: Path) -> list[SplitRow]:
    """Read the split table of a run.

    Raises:
        DatasetError: the table cannot be read, or lacks a column.
    """
    try:
        return [SplitRow(row["file"], row["label"], row["split"], int(row["group"])) for row in read_records(table)[1]]
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"expected the split of a run, with columns 'file', 'label', 'split' and 'group', at {str(table)!r}: "
            "train it again"
        ) from error


def metrics(result: TrainingResult) -> dict[str, Any]:
    """Convert a training's result to the plain values of metrics.json; an undefined metric has the value None."""
    return {
        "positive": result.facts.positive,
        "negative": result.facts.negative,
        "threshold": result.facts.threshold,
        "aim": result.facts.aim,
        "temperature": result.facts.temperature,
        "unsure_band": asdict(result.facts.band),
        "promise": None if result.facts.promise is None else asdict(result.facts.promise),
        "distance_limit": result.facts.distance_limit,
        "head": result.facts.head,
        "best_epoch": result.head.trained.best_epoch,
        "unfrozen": result.settings.unfreeze,
        **({"finetune_workers": result.workers} if result.workers is not None else {}),
        "unfreezing_trials": [asdict(trial) for trial in result.trials],
        "splits": _split_counts(result),
        **{split: evaluation_values(evaluation) for split, evaluation in result.evaluations.items()},
        "reliability": {split: _reliability_values(measured) for split, measured in result.reliability.items()},
        "per_source": {
            source: {"accuracy": estimate_values(accuracy)} for source, accuracy in result.per_source.items()
        },
        "one_sided_sources": one_sided_sources(result.data.photos),
        "leakage": _leakage_values(result.leakage),
        "linear_head": {split: evaluation_values(evaluation) for split, evaluation in result.linear.items()},
        "timing": {name: round(value, 3) for name, value in result.timing.items()},
        "skipped": skipped_values(result.data.skipped),
        SHA256_KEY: hashlib.sha256(result.model).hexdigest(),
        "label_conflicts": [list(files) for files in result.label_conflicts],
        "cross_validated": _cross_validated_values(result.cross_validated),
        **_start_values(result.data),
        **_limit_values(result.data),
    }


def _start_values(data: PreparedData) -> dict[str, Any]:
    """Say what the training started from, and how many photos of each split were seen there; nothing without."""
    if data.start is None:
        return {}
    seen = {split: int(data.seen[data.is_in(split)].sum()) for split in SPLITS if split in data.splits}
    return {"start": {"name": data.start.name, "sha256": data.start.sha256, "seen": seen}}


def _limit_values(data: PreparedData) -> dict[str, Any]:
    """Say what was done on some of very many photos; nothing where there is nothing to say."""
    limits = limits_of(data)
    return {"limits": asdict(limits)} if limits else {}


def config(photos: str | os.PathLike[str], settings: TrainSettings) -> bytes:
    """Write the photos folder and the settings that have a value as TOML.

    TOML is UTF-8. A path that is not Unicode cannot be written, and its odd bytes are replaced by "?".
    """
    comment = "# Repeat this run: roadclear train --config config.toml --out ANOTHER_FOLDER\n"
    values = {"photos": address_of(photos) or os.path.realpath(photos), **asdict(settings)}
    return (comment + to_toml(values)).encode(errors="replace")


def read_config(path: str | os.PathLike[str]) -> tuple[str | None, TrainSettings]:
    """Read the photos folder and the settings from a config.toml.

    Raises:
        OptionError: the file cannot be read, or holds an unknown option or a wrong value.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"expected a config.toml of a run at {str(path)!r}: {error}") from error
    photos = values.pop("photos", None)
    if photos is not None and not isinstance(photos, str):
        raise OptionError(f"photos must be the path of a folder, got {photos!r}")
    return photos, TrainSettings.from_mapping(values)


def history_table(result: TrainingResult) -> bytes:
    """Write the losses of every epoch as CSV."""
    header = ("epoch", "train_loss", "validation_loss", "validation_accuracy")
    return csv_bytes(header, (list(asdict(epoch).values()) for epoch in result.head.trained.history))


def prediction_table(result: TrainingResult) -> bytes:
    """Write the prediction of every usable photo as CSV."""
    facts, data = result.facts, result.data
    unsure = facts.band.covers(result.probabilities).tolist()
    measured = zip(result.probabilities.tolist(), unsure, result.distances.tolist(), strict=True)

    def rows() -> Iterator[list[object]]:
        for photo, split, (probability, is_unsure, distance) in zip(data.photos, data.splits, measured, strict=True):
            predicted = facts.positive if probability >= facts.threshold else facts.negative
            answer = UNSURE if is_unsure else predicted
            flags = ["yes" if flag else "no" for flag in (predicted == photo.label, distance > facts.distance_limit)]
            yield [photo.file, photo.label, split, probability, predicted, flags[0], answer, distance, flags[1]]

    header = ("file", "label", "split", "probability", "predicted", "correct", "answer", "distance", "unfamiliar")
    return csv_bytes(header, rows())


def _reliability_values(reliability: Reliability) -> dict[str, Any]:
    return {
        "before_calibration": asdict(reliability.before),
        "after_calibration": asdict(reliability.after),
        "unsure": estimate_values(reliability.unsure),
        "wrong": estimate_values(reliability.wrong),
        "covered": {label: estimate_values(share) for label, share in reliability.covered.items()},
        "unfamiliar": estimate_values(reliability.unfamiliar),
    }


def _leakage_values(leakage: Leakage) -> dict[str, Any]:
    """Convert to plain values. The names in metrics.json are a file format, and differ from those in the code."""
    names = {"leaking_photos": "straddling", "expected_leaks": "would_straddle"}
    values = {names.get(name, name): value for name, value in asdict(leakage).items()}
    return values if leakage.sample is not None else _without_sample(values)


def _cross_validated_values(crossed: CrossValidated | None) -> dict[str, Any] | None:
    if crossed is None:
        return None
    values = {
        "of": crossed.of,
        "folds": crossed.folds,
        "accuracy": estimate_values(crossed.accuracy),
        "balanced_accuracy": estimate_values(crossed.balanced_accuracy),
        "sample": crossed.sample,
    }
    return values if crossed.sample is not None else _without_sample(values)


def _without_sample(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out the size of a sample where all photos were taken."""
    return {name: value for name, value in values.items() if name != "sample"}


def _split_counts(result: TrainingResult) -> dict[str, dict[str, int]]:
    labels = (result.facts.positive, result.facts.negative)
    data = result.data
    counts = Counter((split, photo.label) for split, photo in zip(data.splits, data.photos, strict=True))
    return {
        split: {"n": sum(counts[split, label] for label in labels), **{label: counts[split, label] for label in labels}}
        for split in SPLITS
        if split in data.splits
    }
