"""Which photos a grid shows: a seeded choice, balanced over the labels."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from roadclear.data.dataset import SPLIT_FOLDERS, load_folder
from roadclear.data.discovery import find_photos
from roadclear.data.split import TEST
from roadclear.errors import DatasetError
from roadclear.training.run_folder import CONFIG_FILE, read_config

SPLITS_FILE = "splits.csv"
_ADVICE = "name a folder of photos after the run"


@dataclass(frozen=True)
class SamplePhoto:
    """A photo that may be shown, with its true label where that is known."""

    path: Path
    label: str | None


def run_test_photos(run: str | os.PathLike[str]) -> list[SamplePhoto]:
    """The photos that a run was tested on, by its splits.csv and config.toml.

    Args:
        run: a run folder, or the model.onnx in one.

    Raises:
        DatasetError: there is no such table, it names no test photo, or the photos are no longer where they were.
        OptionError: config.toml cannot be read.
    """
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    table = folder / SPLITS_FILE
    if not table.is_file():
        raise DatasetError(f"expected the run's split at {str(table)!r}, found none: {_ADVICE}")
    photos, _ = read_config(folder / CONFIG_FILE)
    if photos is None or not Path(photos).is_dir():
        raise DatasetError(f"expected the run's photos at {photos!r}, found no folder: {_ADVICE}")
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        rows = [row for row in csv.DictReader(lines) if row.get("split") == TEST]
    if not rows:
        raise DatasetError(f"expected test photos in {str(table)!r}, found none: {_ADVICE}")
    return [SamplePhoto(Path(photos) / row["file"], row["label"]) for row in rows]


def find_samples(inputs: Iterable[str | os.PathLike[str]], labels: Sequence[str]) -> list[SamplePhoto]:
    """The photos that inputs mean; those of a folder with one subfolder a label have a true label.

    Args:
        inputs: labelled folders, plain folders, photos and patterns.
        labels: the two labels of the model.

    Raises:
        DatasetError: a folder has some of these labels and others, or there is no photo.
    """
    found: list[SamplePhoto] = []
    for item in inputs:
        if _is_labelled(Path(item), labels):
            found += [SamplePhoto(photo.path, photo.label) for photo in load_folder(item, labels).photos]
        else:
            found += [SamplePhoto(path, None) for path in find_photos([item])]
    if not found:
        raise DatasetError("expected photos, found none: name a folder that has some")
    return found


def choose(samples: Iterable[SamplePhoto], count: int, seed: int) -> list[SamplePhoto]:
    """Draw at most so many samples, as many of each label as there are; labels take turns.

    The same samples in any order give the same choice.
    """
    groups: dict[str, list[SamplePhoto]] = {}
    for sample in sorted(set(samples), key=lambda sample: (sample.path, sample.label or "")):
        groups.setdefault(sample.label or "", []).append(sample)
    draw = np.random.default_rng(seed)
    drawn = [[group[k] for k in draw.permutation(len(group))[:count]] for _, group in sorted(groups.items())]
    turns = chain.from_iterable(zip_longest(*drawn))
    return [sample for sample in turns if sample is not None][:count]


def _is_labelled(folder: Path, labels: Sequence[str]) -> bool:
    if not folder.is_dir():
        return False
    roots = [folder, *(path for path in folder.iterdir() if path.name.lower() in SPLIT_FOLDERS)]
    return any((root / label).is_dir() for root in roots for label in labels)
