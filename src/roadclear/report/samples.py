"""Choice of the photos that a grid shows: seeded, and balanced over the labels."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from roadclear.data.dataset import SPLIT_FOLDERS
from roadclear.data.discovery import find_photos
from roadclear.data.sources import is_table, load_photos, root_of
from roadclear.errors import DatasetError


class Sample(Protocol):
    """A photo that may be shown."""

    @property
    def path(self) -> Path:
        """Path of the photo."""

    @property
    def label(self) -> str | None:
        """True label; None where the label is unknown."""


S = TypeVar("S", bound=Sample)


@dataclass(frozen=True)
class SamplePhoto:
    """A photo that may be shown, with its true label where the label is known."""

    path: Path
    label: str | None


def find_samples(inputs: Iterable[str | os.PathLike[str]], labels: Sequence[str]) -> list[SamplePhoto]:
    """List the photos that inputs name. Photos in a labelled folder have a true label.

    Args:
        inputs: paths of labelled folders, plain folders and photos, and patterns.
        labels: the two labels of the model.

    Raises:
        DatasetError: a folder has other labels beside these, or there is no photo.
    """
    found: list[SamplePhoto] = []
    for item in inputs:
        if is_table(Path(item)) or _is_labelled(root_of(item), labels):
            found += [SamplePhoto(photo.path, photo.label) for photo in load_photos(item, labels).photos]
        else:
            found += [SamplePhoto(path, None) for path in find_photos([item])]
    if not found:
        raise DatasetError("expected photos, found none: name a folder that has some")
    return found


def choose(samples: Iterable[S], count: int, seed: int) -> list[S]:
    """Draw samples at random, balanced over the labels. Labels take turns.

    The same samples in any order give the same choice.

    Args:
        samples: photos to draw from.
        count: maximum number of photos to draw.
        seed: random seed.
    """
    groups: dict[str, list[S]] = {}
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
