"""Small trainings inside the test's own process, and what became of every photo."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roadclear.data.dataset import Dataset, LabelledPhoto, load_folder
from roadclear.features.cache import open_cache
from roadclear.training.config import TrainSettings
from roadclear.training.recipe import train
from roadclear.training.result import TrainingResult
from roadclear.utils.paths import default_cache_path

FAST = TrainSettings(size=96, views=0, epochs=5)


def train_folder(folder: Path, settings: TrainSettings = FAST) -> TrainingResult:
    return train_dataset(load_folder(folder), settings)


def train_photos(dataset: Dataset, photos: Sequence[LabelledPhoto], settings: TrainSettings = FAST) -> TrainingResult:
    """Train on a data set with other photos in the place of its own."""
    return train_dataset(replace(dataset, photos=tuple(photos)), settings)


def train_dataset(dataset: Dataset, settings: TrainSettings = FAST) -> TrainingResult:
    with open_cache(default_cache_path()) as cache:
        return train(dataset, settings, cache)


@dataclass(frozen=True)
class Placed:
    """A usable photo, and what became of it."""

    photo: LabelledPhoto
    split: str
    group: int
    probability: float


def placed(training: TrainingResult) -> list[Placed]:
    data = training.data
    columns = data.photos, data.splits, data.groups.tolist(), training.probabilities.tolist()
    return [Placed(*row) for row in zip(*columns, strict=True)]


def splits_by(training: TrainingResult, key: Callable[[LabelledPhoto], Any]) -> dict[Any, set[str]]:
    """The splits in which the photos of each key are."""
    found: dict[Any, set[str]] = {}
    for one in placed(training):
        found.setdefault(key(one.photo), set()).add(one.split)
    return found


def accuracy(training: TrainingResult, split: str = "test") -> float:
    return training.evaluations[split].metrics["accuracy"].value
