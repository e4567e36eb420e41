"""Preparation: a dataset -> usable photos with embeddings, groups and splits.

Training, cross-validation, triage and `roadclear split` start with `prepare`.
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
from roadclear.data.split import SHARES, assign_splits, check_splits, keep_splits
from roadclear.errors import DatasetError, PhotoError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING_CHANNELS, trunk_output
from roadclear.features.backbone.weights import load_weights
from roadclear.features.cache import FeatureCache
from roadclear.features.decoded import MAX_KEPT_BYTES, DecodedPhotos
from roadclear.features.extractor import FeatureExtractor, OnPhoto
from roadclear.features.precision import resolve_precision
from roadclear.features.space import FeatureSpace
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import UnreadablePhoto
from roadclear.training.config import AUTO, DEPTHS, FinetuneSettings, PrepareSettings
from roadclear.utils.arrays import Bools, Embeddings, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Usable photos with embeddings, groups and splits.

    Attributes:
        photos: [n] usable photos, in the order of the dataset.
        hashes: [n] SHA-256 of the photos' files.
        embeddings: float32 [n, 1280], embeddings of the plain photos by the frozen base.
        look_alikes: int [n], connected components of near-duplicates.
        groups: int [n], connected components of all links; a split keeps a group together.
        splits: [n] "train", "validation" or "test".
        skipped: unusable photos with reasons.
        positive: positive label, whose probability the model gives.
        negative: negative label.
        shares: split -> requested share of the photos.
        extractor: extractor of the embeddings.
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

    def numbers(self, split: str) -> Indices:
        """Find the positions of a split's photos: int [m]."""
        return np.flatnonzero(self.is_in(split))

    def is_in(self, split: str) -> Bools:
        """Find the photos of a split: bool [n]."""
        return np.asarray(np.array(self.splits) == split)

    def select(self, split: str, embeddings: Embeddings | None = None) -> tuple[Embeddings, Targets]:
        """Select embeddings [m, 1280] and targets [m] of a split.

        Args:
            split: name of the split.
            embeddings: float32 [n, 1280], embeddings of all photos by another network; None for the frozen base.
        """
        chosen = self.numbers(split)
        return (self.embeddings if embeddings is None else embeddings)[chosen], self.targets[chosen]


@dataclass(frozen=True, eq=False)
class ReadPhotos:
    """Usable photos, and what follows from their pixels alone.

    Attributes:
        photos: [n] usable photos, in the order of the dataset.
        hashes: [n] SHA-256 of the photos' files.
        embeddings: float32 [n, 1280], embeddings of the plain photos by the frozen base.
        look_alikes: int [n], connected components of near-duplicates.
        skipped: unusable photos with reasons.
    """

    photos: tuple[LabelledPhoto, ...]
    hashes: tuple[str, ...]
    embeddings: Embeddings
    look_alikes: Indices
    skipped: tuple[UnreadablePhoto, ...]


def prepare(
    dataset: Dataset,
    settings: PrepareSettings,
    cache: FeatureCache,
    progress: ProgressCallback = no_progress,
    shares: Mapping[str, float] = SHARES,
) -> PreparedData:
    """Read photos, compute embeddings, group the photos, and split them.

    Args:
        dataset: labelled photos. Prescribed splits are kept.
        settings: positive class, base network, engine, augmentation, grouping and seed.
        cache: feature cache.
        progress: called after every photo with the stage, the number of finished photos and the total number.
        shares: split -> requested share of the photos. "train" and "validation" are needed.

    Raises:
        DatasetError: a label has too few photos, a split would lack a label, or only some usable photos have a
            prescribed split.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    choose_positive(dataset.labels, settings.positive)  # refused before any photo is read
    extractor = make_extractor(settings, cache)
    return arrange(read_photos(dataset, extractor, progress), dataset.labels, extractor, settings, shares)


def read_photos(dataset: Dataset, extractor: FeatureExtractor, progress: ProgressCallback = no_progress) -> ReadPhotos:
    """Read photos, compute embeddings, and find near-duplicates.

    Args:
        dataset: labelled photos. Their labels are not looked at.
        extractor: extractor of the embeddings.
        progress: called after every photo with the stage, the number of finished photos and the total number.

    Raises:
        DatasetError, EngineError, OutputError: see `roadclear.errors`.
    """
    photos, hashes, skipped = _extract_plain(dataset.photos, extractor, progress)
    if not photos:
        return ReadPhotos((), (), np.zeros((0, EMBEDDING_CHANNELS), np.float32), np.zeros(0, np.intp), tuple(skipped))
    embeddings = extractor.load(hashes, PLAIN_VIEW)
    look_alikes = group_look_alikes(extractor.load_fingerprints(hashes), embeddings)
    return ReadPhotos(tuple(photos), tuple(hashes), embeddings, look_alikes, tuple(skipped))


def arrange(
    read: ReadPhotos,
    labels: Sequence[str],
    extractor: FeatureExtractor,
    settings: PrepareSettings,
    shares: Mapping[str, float] = SHARES,
    kept: Mapping[str, str] | None = None,
) -> PreparedData:
    """Group photos that were read, and split them.

    Args:
        read: photos that were read.
        labels: the two labels.
        extractor: extractor of the embeddings.
        settings: positive class, grouping and seed.
        shares: split -> requested share of the photos. "train" and "validation" are needed.
        kept: SHA-256 of a photo -> split that the photo keeps; see `roadclear.data.split.keep_splits`.

    Raises:
        DatasetError: a label has too few photos, a split would lack a label, or only some usable photos have a
            prescribed split.
        OptionError: the positive class is none of the labels.
    """
    positive = choose_positive(labels, settings.positive)
    negative = next(label for label in labels if label != positive)
    of_photos = [photo.label for photo in read.photos]
    check_enough(of_photos, labels)
    groups = group_photos(read.photos, read.hashes, read.look_alikes, settings)
    fixed = _prescribed_splits(read.photos)
    splits = assign_splits(of_photos, groups, settings.seed, fixed, shares, read.hashes)
    if kept:
        splits = keep_splits(splits, groups, read.hashes, kept)
        check_splits(splits, of_photos, shares)
    return PreparedData(
        read.photos,
        read.hashes,
        read.embeddings,
        read.look_alikes,
        groups,
        tuple(splits),
        read.skipped,
        positive,
        negative,
        shares,
        extractor,
    )


def _prescribed_splits(photos: Sequence[LabelledPhoto]) -> list[str] | None:
    """Return the split that is prescribed for each usable photo, or None where no split is prescribed.

    Raises:
        DatasetError: a split is prescribed for some photos and not for others.
    """
    prescribed = [photo.split for photo in photos if photo.split is not None]
    if prescribed and len(prescribed) != len(photos):
        first = next(photo.file for photo in photos if photo.split is None)
        raise DatasetError(
            f"expected a split for every photo, found none for {len(photos) - len(prescribed)} of {len(photos)}, the "
            f"first being {first!r}: make the table anew with roadclear split"
        )
    return prescribed or None


def make_extractor(settings: PrepareSettings, cache: FeatureCache) -> FeatureExtractor:
    """Make the extractor of the frozen base's embeddings.

    Raises:
        OptionError, WeightsError: see `roadclear.features.backbone.weights.load_weights`.
    """
    file = Path(settings.weights_file) if settings.weights_file is not None else None
    weights = load_weights(settings.weights, file, settings.download_weights)
    space = FeatureSpace(
        weights, settings.size, settings.engine, resolve_precision(settings.precision, settings.engine)
    )
    # Training photos are read twice: for the groups and the split, and then for their views.
    decoded = DecodedPhotos(MAX_KEPT_BYTES if settings.views else 0)
    return FeatureExtractor(space, settings, cache, decoded=decoded, inner=_inner_tensor(settings))


def _inner_tensor(settings: PrepareSettings) -> str | None:
    """Name the tensor that fine-tuning reads first, or None without fine-tuning."""
    if not isinstance(settings, FinetuneSettings) or settings.unfreeze == 0:
        return None
    return trunk_output(DEPTHS[0] if settings.unfreeze == AUTO else int(settings.unfreeze))


def extract_views(
    data: PreparedData, chosen: Sequence[int], extractor: FeatureExtractor, views: Sequence[int], on_photo: OnPhoto
) -> list[str]:
    """Put features of views of prepared photos into the cache.

    Args:
        data: prepared photos.
        chosen: positions of the photos to extract.
        extractor: extractor of the features.
        views: numbers of the views; 0 is the plain photo.
        on_photo: callback after every photo.

    Returns:
        SHA-256 of the chosen photos' files, in hex.

    Raises:
        DatasetError: a photo changed after it was prepared.
    """
    hashes = [data.hashes[i] for i in chosen]
    paths = [data.photos[i].path for i in chosen]
    for path, sha256, result in zip(paths, hashes, extractor.extract(paths, views, on_photo), strict=True):
        if result != sha256:
            raise DatasetError(f"expected {str(path)!r} to stay as it was, found another content: start again")
    return hashes


def load_views(
    data: PreparedData, chosen: Sequence[int], count: int, progress: ProgressCallback = no_progress
) -> list[Embeddings]:
    """Compute missing embeddings of augmented views, and load all.

    Args:
        data: prepared photos.
        chosen: positions of the photos.
        count: number of views.
        progress: called after every photo with the stage, the number of finished photos and the total number.

    Raises:
        DatasetError: a photo changed after it was prepared.

    Returns:
        Embeddings float32 [m, 1280] of the views 1 to `count`.
    """
    if count == 0:
        return []
    views = range(1, count + 1)
    hashes = extract_views(data, chosen, data.extractor, views, partial(progress, "Augmenting"))
    return [data.extractor.load(hashes, k) for k in views]


def _extract_plain(
    photos: Sequence[LabelledPhoto], extractor: FeatureExtractor, progress: ProgressCallback
) -> tuple[list[LabelledPhoto], list[str], list[UnreadablePhoto]]:
    """Extract plain photos: usable photos, their SHA-256, and unusable photos with reasons."""
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
