"""Labelled photos -> the usable ones, with embeddings, groups, and a part of the split for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto, check_enough
from roadclear.data.groups import GroupingRule, group_photos
from roadclear.data.near_duplicates.groups import group as group_look_alikes
from roadclear.data.split import split
from roadclear.errors import DatasetError, PhotoError
from roadclear.features.extractor import FeatureExtractor, Progress
from roadclear.images.augment import PLAIN_VIEW
from roadclear.model.heads import Embeddings
from roadclear.model.predictor import Unreadable

Report = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Photos that can be used, and where they are in the split.

    Attributes:
        photos: [n] usable photos, in the order given.
        hashes: [n] SHA-256 of their files.
        embeddings: float32 [n, 1280], of the plain photos.
        look_alikes: int [n], components of photos that look alike.
        groups: int [n], components of all that a split must not part.
        parts: [n] names of parts.
        skipped: the photos that cannot be used, and why.
    """

    photos: tuple[LabelledPhoto, ...]
    hashes: tuple[str, ...]
    embeddings: Embeddings
    look_alikes: NDArray[np.intp]
    groups: NDArray[np.intp]
    parts: tuple[str, ...]
    skipped: tuple[Unreadable, ...]


def place(
    photos: Sequence[LabelledPhoto],
    labels: tuple[str, str],
    extractor: FeatureExtractor,
    rule: GroupingRule,
    seed: int,
    shares: Mapping[str, float],
    report: Report,
) -> Placement:
    """Read photos, find which belong together, and split them.

    Args:
        photos: all photos; where each has a `split`, that is its part.
        labels: the two labels.
        extractor: of embeddings.
        rule: what ties photos together beside content, look and scene.
        seed: of the split.
        shares: part -> its share of the photos.
        report: told about progress.

    Raises:
        DatasetError: too few photos of a label, or no split can be made.
    """
    usable: list[LabelledPhoto] = []
    hashes: list[str] = []
    skipped: list[Unreadable] = []
    progress = partial(report, "Reading photos")
    results = extractor.extract([photo.path for photo in photos], [PLAIN_VIEW], progress)
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, PhotoError):
            skipped.append(Unreadable(Path(photo.file), result.reason))
        else:
            usable.append(photo)
            hashes.append(result)
    names = [photo.label for photo in usable]
    check_enough(names, labels)
    embeddings = extractor.load(hashes, PLAIN_VIEW)
    look_alikes = group_look_alikes(extractor.load_fingerprints(hashes), embeddings)
    groups = group_photos(usable, hashes, look_alikes, rule)
    prescribed = [photo.split for photo in usable if photo.split is not None]
    parts = split(names, groups, seed, prescribed if len(prescribed) == len(usable) else None, shares)
    return Placement(tuple(usable), tuple(hashes), embeddings, look_alikes, groups, tuple(parts), tuple(skipped))


def extract_placed(
    placement: Placement, chosen: Sequence[int], extractor: FeatureExtractor, views: Sequence[int], progress: Progress
) -> list[str]:
    """See to it that the cache holds views of placed photos.

    Args:
        placement: of the photos.
        chosen: numbers of some of them.
        extractor: of features.
        views: numbers of the views.
        progress: told after every photo.

    Returns:
        The SHA-256 of the chosen photos' files.

    Raises:
        DatasetError: a photo is no longer what it was when it was placed.
    """
    hashes = [placement.hashes[i] for i in chosen]
    paths = [placement.photos[i].path for i in chosen]
    for path, sha256, result in zip(paths, hashes, extractor.extract(paths, views, progress), strict=True):
        if result != sha256:
            raise DatasetError(f"{str(path)!r} changed while it was being worked on: start it again")
    return hashes
