"""A dataset -> its usable photos, with embeddings, groups and splits.

Training, cross-validation, triage and `roadclear split` all start here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.groups import group_photos
from roadclear.data.labels import check_enough, choose_positive
from roadclear.data.near_duplicates.groups import group as group_look_alikes
from roadclear.data.split import SHARES, assign_splits
from roadclear.errors import DatasetError, PhotoError
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import FeatureExtractor, FeatureSpace, OnPhoto
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import UnreadablePhoto
from roadclear.training.config import PrepareSettings
from roadclear.utils.arrays import Bools, Embeddings, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Photos that can be used, and their splits.

    Attributes:
        photos: [n] usable photos, in the order given.
        hashes: [n] SHA-256 of their files.
        embeddings: float32 [n, 1280], of the plain photos.
        look_alikes: int [n], connected components of photos that look alike.
        groups: int [n], connected components of everything that a split keeps together.
        splits: [n] names: "train", "validation" or "test".
        skipped: the photos that cannot be used, and why.
        positive: the label whose probability the model gives.
        negative: the other label.
        shares: split -> the share of the photos that it should have.
        extractor: what computed the embeddings.
    """

    photos: tuple[LabelledPhoto, ...]
    hashes: tuple[str, ...]
    embeddings: Embeddings
    look_alikes: NDArray[np.intp]
    groups: NDArray[np.intp]
    splits: tuple[str, ...]
    skipped: tuple[UnreadablePhoto, ...]
    positive: str
    negative: str
    shares: Mapping[str, float]
    extractor: FeatureExtractor

    @cached_property
    def targets(self) -> Targets:
        """int64 [n], 1 for the positive class, else 0."""
        return np.array([photo.label == self.positive for photo in self.photos], dtype=np.int64)

    def numbers(self, of: str) -> Indices:
        """Positions of the photos of a split."""
        return np.flatnonzero(self.is_in(of))

    def is_in(self, of: str) -> Bools:
        """Which photos are in a split: bool [n]."""
        return np.asarray(np.array(self.splits) == of)

    def select(self, of: str, embeddings: Embeddings | None = None) -> tuple[Embeddings, Targets]:
        """Embeddings [m, 1280] and targets [m] of a split.

        Args:
            of: the split.
            embeddings: float32 [n, 1280] of all photos by another network; None for those of the frozen base.
        """
        chosen = self.numbers(of)
        return (self.embeddings if embeddings is None else embeddings)[chosen], self.targets[chosen]


def prepare(
    dataset: Dataset,
    settings: PrepareSettings,
    cache: FeatureCache,
    progress: ProgressCallback = no_progress,
    shares: Mapping[str, float] = SHARES,
) -> PreparedData:
    """Read photos, find which belong together, and split them.

    Args:
        dataset: all photos; where every usable photo has a `split`, that split is kept.
        settings: the positive class, base network, engine, grouping and seed.
        cache: where embeddings are kept.
        progress: called after every photo.
        shares: split -> the share of the photos that it should have; "train" and "validation" are needed.

    Raises:
        DatasetError: too few photos of a label, or no split can be made.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    positive = choose_positive(dataset.labels, settings.positive)
    negative = next(label for label in dataset.labels if label != positive)
    extractor = make_extractor(settings, cache)
    photos, hashes, skipped = _extract_plain(dataset.photos, extractor, progress)
    labels = [photo.label for photo in photos]
    check_enough(labels, dataset.labels)
    embeddings = extractor.load(hashes, PLAIN_VIEW)
    look_alikes = group_look_alikes(extractor.load_fingerprints(hashes), embeddings)
    groups = group_photos(photos, hashes, look_alikes, settings)
    prescribed = [photo.split for photo in photos if photo.split is not None]
    splits = assign_splits(
        labels, groups, settings.seed, prescribed if len(prescribed) == len(photos) else None, shares
    )
    return PreparedData(
        tuple(photos),
        tuple(hashes),
        embeddings,
        look_alikes,
        groups,
        tuple(splits),
        tuple(skipped),
        positive,
        negative,
        shares,
        extractor,
    )


def make_extractor(settings: PrepareSettings, cache: FeatureCache) -> FeatureExtractor:
    """The extractor of the frozen base's embeddings."""
    file = Path(settings.weights_file) if settings.weights_file is not None else None
    weights = load_weights(settings.weights, file, settings.download_weights)
    space = FeatureSpace(weights, settings.size, settings.engine, settings.precision)
    return FeatureExtractor(space, settings, cache)


def extract_views(
    data: PreparedData, chosen: Sequence[int], extractor: FeatureExtractor, views: Sequence[int], on_photo: OnPhoto
) -> list[str]:
    """Put views of prepared photos into the cache.

    Args:
        data: the photos.
        chosen: positions of some of them.
        extractor: what computes the features.
        views: numbers of the views.
        on_photo: called after every photo.

    Returns:
        The SHA-256 of the chosen photos' files.

    Raises:
        DatasetError: a photo changed after it was prepared.
    """
    hashes = [data.hashes[i] for i in chosen]
    paths = [data.photos[i].path for i in chosen]
    for path, sha256, result in zip(paths, hashes, extractor.extract(paths, views, on_photo), strict=True):
        if result != sha256:
            raise DatasetError(f"{str(path)!r} changed while it was being worked on: start it again")
    return hashes


def load_views(
    data: PreparedData, chosen: Sequence[int], count: int, progress: ProgressCallback = no_progress
) -> list[Embeddings]:
    """Embeddings [m, 1280] of the augmented views 1 to `count` of chosen photos."""
    if count == 0:
        return []
    views = range(1, count + 1)
    hashes = extract_views(data, chosen, data.extractor, views, partial(progress, "Augmenting"))
    return [data.extractor.load(hashes, k) for k in views]


def _extract_plain(
    photos: Sequence[LabelledPhoto], extractor: FeatureExtractor, progress: ProgressCallback
) -> tuple[list[LabelledPhoto], list[str], list[UnreadablePhoto]]:
    """The usable photos with their SHA-256, and the others with a reason."""
    usable: list[LabelledPhoto] = []
    hashes: list[str] = []
    skipped: list[UnreadablePhoto] = []
    paths = [photo.path for photo in photos]
    results = extractor.extract(paths, [PLAIN_VIEW], partial(progress, "Reading photos"))
    for photo, result in zip(photos, results, strict=True):
        if isinstance(result, PhotoError):
            skipped.append(UnreadablePhoto(Path(photo.file), result.reason))
        else:
            usable.append(photo)
            hashes.append(result)
    return usable, hashes, skipped
