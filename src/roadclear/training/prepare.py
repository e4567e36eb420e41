"""Preparation: a dataset -> usable photos with embeddings, groups and splits.

Training, cross-validation, triage and `roadclear split` start with `prepare`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.groups import group_photos, sample_groups
from roadclear.data.labels import check_enough, choose_positive
from roadclear.data.near_duplicates.groups import group as group_look_alikes
from roadclear.data.split import SHARES, check_splits, keep_splits
from roadclear.errors import DatasetError, PhotoError
from roadclear.features.backbone.mobilenetv2 import EMBEDDING_CHANNELS
from roadclear.features.cache import FeatureCache
from roadclear.features.extractor import FeatureExtractor, OnPhoto
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import UnreadablePhoto
from roadclear.model.heads import Head
from roadclear.training.base import Base, open_base
from roadclear.training.config import PrepareSettings, TrainSettings
from roadclear.training.splitting import Draw, prescribed_splits
from roadclear.training.start import Start
from roadclear.utils.arrays import Bools, Indices, Targets
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.rows import Rows, take

MOST_SAMPLED = 20_000
"""Number of photos from which checks beside the training are made, where there are more."""


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Usable photos with embeddings, groups and splits.

    Attributes:
        photos: [n] usable photos, in the order of the dataset.
        hashes: [n] SHA-256 of the photos' files.
        embeddings: float32 [n, 1280], embeddings of the plain photos by the frozen base. Those of many photos are in a
            file.
        look_alikes: int [n], connected components of near-duplicates.
        groups: int [n], connected components of all links; a split keeps a group together.
        splits: [n] "train", "validation" or "test".
        skipped: unusable photos with reasons.
        positive: positive label, whose probability the model gives.
        negative: negative label.
        shares: split -> requested share of the photos.
        extractor: extractor of the embeddings.
        start: earlier model whose backbone is the base; None for published weights.
    """

    photos: tuple[LabelledPhoto, ...]
    hashes: tuple[str, ...]
    embeddings: Rows
    look_alikes: NDArray[np.intp]
    groups: NDArray[np.intp]
    splits: tuple[str, ...]
    skipped: tuple[UnreadablePhoto, ...]
    positive: str
    negative: str
    shares: Mapping[str, float]
    extractor: FeatureExtractor
    start: Start | None = None

    @cached_property
    def seen(self) -> Bools:
        """Photos that the start was trained on: bool [n]."""
        return Base(self.extractor, self.start).has_seen(self.hashes)

    @cached_property
    def familiar(self) -> Bools:
        """Photos that the start was trained on, and the other photos of their groups: bool [n]."""
        return np.isin(self.groups, self.groups[self.seen])

    def head_of_start(self, kind: str) -> Head | None:
        """Return the head of the start for these labels; None where there is none of this kind."""
        return self.start.head_for(self.positive, self.negative, kind) if self.start is not None else None

    def without(self, left_out: Bools) -> "PreparedData":
        """Leave out photos, bool [n]. Groups keep their numbers."""
        return self.only(np.flatnonzero(~left_out))

    def sampled(self, seed: int) -> "PreparedData":
        """Keep 20,000 photos of groups that are drawn at random, where there are more photos."""
        if len(self.photos) <= MOST_SAMPLED:
            return self
        return self.only(sample_groups(self.groups, MOST_SAMPLED, seed))

    def only(self, kept: Indices) -> "PreparedData":
        """Keep photos, int [m]. Groups keep their numbers."""
        return replace(
            self,
            photos=tuple(self.photos[i] for i in kept.tolist()),
            hashes=tuple(self.hashes[i] for i in kept.tolist()),
            embeddings=take(self.embeddings, kept),
            look_alikes=self.look_alikes[kept],
            groups=self.groups[kept],
            splits=tuple(self.splits[i] for i in kept.tolist()),
        )

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

    def select(self, split: str, embeddings: Rows | None = None) -> tuple[Rows, Targets]:
        """Select embeddings [m, 1280] and targets [m] of a split.

        Args:
            split: name of the split.
            embeddings: float32 [n, 1280], embeddings of all photos by another network; None for the frozen base.
        """
        chosen = self.numbers(split)
        return take(self.embeddings if embeddings is None else embeddings, chosen), self.targets[chosen]


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
    embeddings: Rows
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
    base = open_base(settings, cache)
    return arrange(read_photos(dataset, base, progress), dataset.labels, base, settings, shares)


def read_photos(dataset: Dataset, base: Base, progress: ProgressCallback = no_progress) -> ReadPhotos:
    """Read photos, compute embeddings, and find near-duplicates.

    Args:
        dataset: labelled photos. Their labels are not looked at.
        base: extractor of the embeddings, and the start.
        progress: called after every photo with the stage, the number of finished photos and the total number.

    Raises:
        DatasetError, EngineError, OutputError: see `roadclear.errors`.
    """
    extractor = base.extractor
    photos, hashes, skipped = _extract_plain(dataset, extractor, progress)
    if not photos:
        return ReadPhotos((), (), np.zeros((0, EMBEDDING_CHANNELS), np.float32), np.zeros(0, np.intp), tuple(skipped))
    embeddings = extractor.load_embeddings(hashes, PLAIN_VIEW)
    look_alikes = group_look_alikes(extractor.load_fingerprints(hashes), looks_of(base, embeddings))
    return ReadPhotos(tuple(photos), tuple(hashes), embeddings, look_alikes, tuple(skipped))


def looks_of(base: Base, embeddings: Rows) -> Rows | None:
    """Return the embeddings that near-duplicates are found by, beside hashes; None for hashes alone.

    Embeddings of a fine-tuned backbone say how alike two photos are as labels go, not as pictures. So hashes alone find
    the near-duplicates where the base is that of an earlier model.
    """
    return embeddings if base.start is None else None


def arrange(
    read: ReadPhotos,
    labels: Sequence[str],
    base: Base,
    settings: PrepareSettings,
    shares: Mapping[str, float] = SHARES,
    kept: Mapping[str, str] | None = None,
) -> PreparedData:
    """Group photos that were read, and split them.

    Groups with a photo that the start has seen come to the training photos, where enough other photos remain.

    Args:
        read: photos that were read.
        labels: the two labels.
        base: extractor of the embeddings, and the start.
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
    drawn = Draw(of_photos, groups, read.hashes, settings.seed, shares)
    splits = drawn.splits(prescribed_splits(read.photos), base.has_seen(read.hashes))
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
        base.extractor,
        base.start,
    )


def resolve_base(settings: TrainSettings, data: PreparedData) -> TrainSettings:
    """Put the size and the model that were found into the settings, so that they repeat the training."""
    weights = settings.weights if data.start is None else data.start.option
    return replace(settings, size=data.extractor.space.size, weights=weights)


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
) -> list[Rows]:
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
    return [data.extractor.load_embeddings(hashes, k) for k in views]


def _extract_plain(
    dataset: Dataset, extractor: FeatureExtractor, progress: ProgressCallback
) -> tuple[list[LabelledPhoto], list[str], list[UnreadablePhoto]]:
    """Extract plain photos: usable photos, their SHA-256, and unusable photos with reasons."""
    usable: list[LabelledPhoto] = []
    hashes: list[str] = []
    skipped = list(dataset.skipped)
    paths = [photo.path for photo in dataset.photos]
    results = extractor.extract(paths, [PLAIN_VIEW], partial(progress, "Reading photos"))
    for photo, result in zip(dataset.photos, results, strict=True):
        if isinstance(result, PhotoError):
            skipped.append(UnreadablePhoto(Path(photo.file), result.reason))
        else:
            usable.append(photo)
            hashes.append(result)
    return usable, hashes, skipped
