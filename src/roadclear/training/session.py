"""Training that is repeated while photos and labels change, from what is already known.

A session keeps features, splits, folds and the last head. After a change it computes what is new: features of new
photos, a cross-validation, and a head that begins with the last one. The cross-validation is of the linear head, or of
the head of an earlier model where few photos only adapt it. `roadclear.training.recipe` trains afresh and is the
reference.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.folds import Fold, draw_folds
from roadclear.data.near_duplicates.groups import group as group_look_alikes
from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.errors import DatasetError, OptionError, PhotoError
from roadclear.features.cache import FeatureCache
from roadclear.images.augment import PLAIN_VIEW
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.classification import Evaluation, evaluate
from roadclear.metrics.comparison import Answers, Comparison, compare_answers
from roadclear.model.decision.calibrated import CalibratedHead, HeldOut, calibrate_by
from roadclear.model.decision.validation_scores import CROSS_VALIDATION, LINEAR_CROSS_VALIDATION, ValidationScores
from roadclear.model.fit import train_head
from roadclear.model.heads import DenseHead, Head, TrainedHead, probabilities
from roadclear.training.base import Base, open_base
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidation, CrossValidationData, test_folds
from roadclear.training.heads import adapted_start, fit_head
from roadclear.training.prepare import PreparedData, ReadPhotos, arrange, load_views, looks_of
from roadclear.utils.arrays import Embeddings
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import one_thread

FOLDS = 5
_WARM_PATIENCE = 3
_GROUPED = 2
"""Sets of photos whose near-duplicates are kept: the labelled photos, and the labelled and unlabelled ones."""


@dataclass(frozen=True, eq=False)
class SessionNumbers:
    """Numbers after a change.

    Attributes:
        data: usable photos with their splits, and skipped photos.
        judged: photos of the cross-validation. Photos that the start has seen, and the others of their groups, are left
            out.
        sample: embeddings of the judged photos.
        crossed: cross-validation of the judged photos. Photos keep their folds.
        folds: folds of the cross-validation.
        head: calibrated head of the chosen kind, trained on the training photos. Photos keep their splits.
        test: metrics of the head on the test photos.
        unsure: share of the test photos with the answer "unsure", 0 to 1.
        change: comparison of the cross-validation with the one before the change, on photos that are in both; None for
            the first numbers.
        warm: whether the head began with the last head.
        seconds: wall-clock time of the update.
    """

    data: PreparedData
    judged: PreparedData
    sample: CrossValidationData
    crossed: CrossValidation
    folds: tuple[Fold, ...]
    head: CalibratedHead
    test: Evaluation
    unsure: float
    change: Comparison | None
    warm: bool
    seconds: float


class Session:
    """Training that is repeated while photos and labels change. One thread at a time may use a session.

    Args:
        settings: settings of the training. Fine-tuning takes too long to follow every change, so `unfreeze` must be 0.
        cache: feature cache; open for as long as the session is used.

    Attributes:
        extractor: extractor of the embeddings, with counts of what was read and computed.

    Raises:
        OptionError: `unfreeze` is not 0.
        OptionError, ModelFileError: see `roadclear.training.start.open_start`.
        WeightsError: see `roadclear.features.backbone.weights.load_weights`.

    Example:
        >>> with open_cache(path) as cache:  # doctest: +SKIP
        ...     session = Session(TrainSettings(), cache)
        ...     session.update(load_folder("photos")).crossed.metrics["accuracy"].value
        0.94
    """

    def __init__(self, settings: TrainSettings, cache: FeatureCache) -> None:
        if settings.unfreeze != 0:
            raise OptionError(f"unfreeze must be 0 in a session, got {settings.unfreeze}: fine-tune at the end")
        self._settings = settings
        self._base = open_base(settings, cache)
        self.extractor = self._base.extractor
        self._photos = _KnownPhotos(self._base)
        self._splits: Mapping[str, str] = {}
        self._folds: Mapping[str, int] = {}
        self._head: DenseHead | None = None
        self._last: SessionNumbers | None = None

    def update(self, dataset: Dataset, progress: ProgressCallback = no_progress) -> SessionNumbers:
        """Compute the numbers of photos and labels as they are now.

        Photos that the session has seen keep their splits and folds, so no test photo was ever trained on. Where a
        split would then lack a label, all splits are drawn again, and the head begins anew.

        Args:
            dataset: labelled photos. Files whose time, size and number did not change are not read again.
            progress: called after every new photo and every epoch.

        Raises:
            DatasetError: a label has too few photos or groups, or too few that the start has not seen.
            EngineError, OutputError: see `roadclear.errors`.
        """
        started = time.perf_counter()
        data = self._arrange(self._photos.read(dataset.photos, progress), dataset.labels)
        views = self._photos.views(data, self._settings.views, progress)
        warm = self._head is not None
        with one_thread(), ThreadPoolExecutor(1, thread_name_prefix="roadclear") as other:
            training = other.submit(self._train, data, views)
            judged = data.without(data.familiar)
            sample, crossed, folds = self._cross_validate(judged, adapted_start(data, self._settings))
            trained = training.result()
        head = _calibrate(trained, data, _scores(judged, sample, crossed), self._settings)
        tested = data.numbers(TEST)
        probability = probabilities(head.head, data.embeddings)[tested]
        numbers = SessionNumbers(
            data=data,
            judged=judged,
            sample=sample,
            crossed=crossed,
            folds=folds,
            head=head,
            test=evaluate(data.targets[tested] == 1, probability, head.threshold, data.groups[tested]),
            unsure=float(head.band.covers(probability).mean()),
            change=_compare(self._last, judged, crossed),
            warm=warm,
            seconds=time.perf_counter() - started,
        )
        self._splits = {**self._splits, **dict(zip(data.hashes, data.splits, strict=True))}
        self._head = trained.head if isinstance(trained.head, DenseHead) else None
        self._last = numbers
        return numbers

    def read(self, photos: Sequence[LabelledPhoto], progress: ProgressCallback = no_progress) -> ReadPhotos:
        """Read photos, with or without labels, from what is known. Files that did not change are not read again.

        Raises:
            DatasetError: no photo can be read.
            EngineError, OutputError: see `roadclear.errors`.
        """
        return self._photos.read(photos, progress)

    def _train(self, data: PreparedData, views: Sequence[Embeddings]) -> TrainedHead:
        """Train the head. A head that begins with the last one has little to learn, so it stops sooner."""
        embeddings, targets = data.select(TRAIN)
        of_start = data.head_of_start(self._settings.head)
        if self._head is None or adapted_start(data, self._settings) is not None:
            return fit_head([embeddings, *views], targets, data.select(VALIDATION), self._settings, of_start)
        settings = replace(self._settings, patience=min(_WARM_PATIENCE, self._settings.patience))
        return train_head([embeddings, *views], targets, data.select(VALIDATION), settings, start=self._head)

    def _arrange(self, read: ReadPhotos, labels: Sequence[str]) -> PreparedData:
        try:
            return arrange(read, labels, self._base, self._settings, kept=self._splits)
        except DatasetError:
            if not self._splits:
                raise
        data = arrange(read, labels, self._base, self._settings)
        self._splits, self._head = {}, None
        return data

    def _cross_validate(
        self, data: PreparedData, adapted: Head | None
    ) -> tuple[CrossValidationData, CrossValidation, tuple[Fold, ...]]:
        """Cross-validate the head of the start where it is only adapted, else the linear head."""
        kept = np.array([self._folds.get(sha256, -1) for sha256 in data.hashes], dtype=np.intp)
        seed = self._settings.seed
        try:
            folds = draw_folds(data.targets, data.groups, FOLDS, 1, seed, kept)
        except DatasetError:
            folds = _new_folds(data, seed)
        sample = CrossValidationData(data.embeddings, (), data.targets, data.groups, adapted)
        settings = self._settings if adapted is not None else replace(self._settings, head="linear")
        crossed = test_folds(sample, folds, settings)
        known = {data.hashes[photo]: number for number, fold in enumerate(folds) for photo in fold.test.tolist()}
        self._folds = {**self._folds, **known}
        return sample, crossed, tuple(folds)


def _new_folds(data: PreparedData, seed: int) -> list[Fold]:
    try:
        return draw_folds(data.targets, data.groups, FOLDS, 1, seed)
    except DatasetError as error:
        if data.start is None:
            raise
        raise DatasetError(
            f"expected photos of each label from at least {FOLDS} scenes that the earlier model has not seen, found "
            "too few: add photos, or start from published weights"
        ) from error


def _scores(judged: PreparedData, sample: CrossValidationData, crossed: CrossValidation) -> ValidationScores | None:
    """Select what sets the band: the cross-validation outside the test split, as `frozen_scores` does."""
    if judged.start is not None and sample.start is None:
        return None
    used = ~judged.is_in(TEST)
    origin = LINEAR_CROSS_VALIDATION if sample.start is None else CROSS_VALIDATION
    return ValidationScores.of(judged.targets[used] == 1, crossed.probability[used], judged.groups[used], origin)


def _calibrate(
    trained: TrainedHead, data: PreparedData, scores: ValidationScores | None, settings: TrainSettings
) -> CalibratedHead:
    """Calibrate on the validation photos, and set the band by the scores."""
    embeddings, targets = data.select(VALIDATION)
    held_out = HeldOut(trained.head.logits(embeddings), targets, data.groups[data.is_in(VALIDATION)])
    return calibrate_by(trained, held_out, settings, scores)


def _compare(last: SessionNumbers | None, data: PreparedData, crossed: CrossValidation) -> Comparison | None:
    """Compare with the numbers before, on the photos that are in both, by the labels of now."""
    if last is None:
        return None
    places = {sha256: number for number, sha256 in enumerate(last.judged.hashes)}
    now = np.array([number for number, sha256 in enumerate(data.hashes) if sha256 in places], dtype=np.intp)
    before = np.array([places[data.hashes[number]] for number in now.tolist()], dtype=np.intp)
    positive = data.targets[now] == 1
    if positive.all() or not positive.any() or data.positive != last.judged.positive:
        return None
    return compare_answers(
        positive,
        Answers(last.crossed.probability[before], last.crossed.predicted[before]),
        Answers(crossed.probability[now], crossed.predicted[now]),
        data.groups[now],
    )


FileKey = tuple[str, int, int, int]
"""Path, time of the last change, size and number of a file."""


@dataclass
class _KnownPhotos:
    """Photos that were read, by file and by content.

    Attributes:
        base: extractor of embeddings and fingerprints, and the start.
        contents: file -> SHA-256 of its bytes, or why the file cannot be used.
        embeddings: SHA-256 -> float32 [1280].
        fingerprints: SHA-256 -> uint64 [k].
        embedded_views: SHA-256 -> embeddings of the augmented views, float32 [1280] each, of training photos.
        look_alikes: SHA-256 of photos -> SHA-256 -> component of near-duplicates, of the last two sets of photos.
    """

    base: Base
    contents: dict[FileKey, str | PhotoError] = field(default_factory=dict)
    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    fingerprints: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    embedded_views: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    look_alikes: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)

    def read(self, photos: Sequence[LabelledPhoto], progress: ProgressCallback) -> ReadPhotos:
        """Read photos that are new or have changed, and remember the others."""
        files = [_file_key(photo) for photo in photos]
        self._read_new([file for file in dict.fromkeys(files) if file not in self.contents], progress)
        usable: list[LabelledPhoto] = []
        hashes: list[str] = []
        skipped: list[UnreadablePhoto] = []
        for photo, file in zip(photos, files, strict=True):
            content = self.contents[file]
            if isinstance(content, PhotoError):
                skipped.append(UnreadablePhoto(photo.path, content.reason))
            else:
                usable.append(photo)
                hashes.append(content)
        if not usable:
            raise DatasetError("expected photos that can be read, found none: add photos")
        embeddings = np.stack([self.embeddings[sha256] for sha256 in hashes])
        return ReadPhotos(tuple(usable), tuple(hashes), embeddings, self._group(hashes), tuple(skipped))

    def views(self, data: PreparedData, count: int, progress: ProgressCallback) -> list[Embeddings]:
        """Embeddings float32 [m, 1280] of the views 1 to `count` of the training photos."""
        chosen = data.numbers(TRAIN).tolist()
        new = [i for i in chosen if data.hashes[i] not in self.embedded_views] if count else []
        loaded = [rows[:] for rows in load_views(data, new, count, progress)] if new else []
        for place, i in enumerate(new):
            self.embedded_views[data.hashes[i]] = [view[place] for view in loaded]
        return [np.stack([self.embedded_views[data.hashes[i]][k] for i in chosen]) for k in range(count)]

    def _read_new(self, files: Sequence[FileKey], progress: ProgressCallback) -> None:
        new: list[str] = []
        results = self.base.extractor.extract(
            [file[0] for file in files], [PLAIN_VIEW], lambda done, total: progress("Reading photos", done, total)
        )
        for file, result in zip(files, results, strict=True):
            self.contents[file] = result
            if isinstance(result, str) and result not in self.embeddings:
                new.append(result)
        if new:
            self.embeddings.update(zip(new, self.base.extractor.load(new, PLAIN_VIEW), strict=True))
            self.fingerprints.update(zip(new, self.base.extractor.load_fingerprints(new), strict=True))

    def _group(self, hashes: Sequence[str]) -> NDArray[np.intp]:
        """Group near-duplicates. Labels and the order of photos do not matter to them."""
        contents = tuple(sorted(set(hashes)))
        known = self.look_alikes.pop(contents, None)
        if known is None:
            fingerprints = np.stack([self.fingerprints[sha256] for sha256 in contents])
            compared = looks_of(self.base, np.stack([self.embeddings[sha256] for sha256 in contents]))
            known = dict(zip(contents, group_look_alikes(fingerprints, compared).tolist(), strict=True))
        self.look_alikes[contents] = known
        for old in list(self.look_alikes)[:-_GROUPED]:
            del self.look_alikes[old]
        return np.array([known[sha256] for sha256 in hashes], dtype=np.intp)


def _file_key(photo: LabelledPhoto) -> FileKey:
    """Name a file by its path and state; a missing file has a state of its own."""
    try:
        status = photo.path.stat()
    except OSError:
        return str(photo.path), 0, 0, 0
    return str(photo.path), status.st_mtime_ns, status.st_size, status.st_ino
