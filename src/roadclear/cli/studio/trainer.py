"""Training that follows a folder: the session, the findings and the maps, as the studio asks for them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.cases import Entry, OutOfFold, TriageReason, list_cases
from roadclear.curation.evidence import FoldEvidence, map_photo, open_feature_map
from roadclear.curation.rules import CleanReason, CleanRules, Finding, find
from roadclear.curation.unlabelled import AT_MOST, rank
from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.folds import test_to_train
from roadclear.data.labels import choose_positive
from roadclear.deploy.studio.ports import Evidence, Gain, Numbers, Task
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
from roadclear.features.engine import Engine
from roadclear.metrics.intervals import corrected_interval, share_of
from roadclear.metrics.label_issues import find_label_issues
from roadclear.model.drawing.overlay import scale_ticks
from roadclear.model.heads import Head
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.learning_curve import learning_curve
from roadclear.training.recipe import train
from roadclear.training.session import FOLDS, Session, SessionNumbers
from roadclear.utils.progress import ProgressCallback

ORDER = (
    CleanReason.UNREADABLE,
    CleanReason.UNSUPPORTED,
    CleanReason.BLANK,
    CleanReason.TOO_SMALL,
    TriageReason.WRONG_LABEL,
    CleanReason.CONFLICTING_LABEL,
    TriageReason.LOOK_ALIKES_DISAGREE,
    CleanReason.DUPLICATE,
    CleanReason.LOOK_ALIKE,
    TriageReason.UNSURE,
    TriageReason.LABEL_NEXT,
)
"""Reasons in the order of looking. Files that cannot be used come first, then labels, then copies."""

_HALF = 0.5


class SessionTrainer:
    """Training of the studio; see `roadclear.deploy.studio.ports.Trainer`.

    Args:
        settings: settings of the training.
        cache: feature cache; open for as long as the trainer is used.

    Raises:
        OptionError, WeightsError: see `roadclear.training.session.Session`.
    """

    def __init__(self, settings: TrainSettings, cache: FeatureCache) -> None:
        self._settings, self._cache = settings, cache
        self._session = Session(settings, cache)
        self._last: SessionNumbers | None = None
        self._evidence: tuple[dict[str, int], FoldEvidence] | None = None
        self._engine: Engine | None = None
        self._ranked: tuple[dict[str, LabelledPhoto], Head] | None = None
        self._found: tuple[tuple[object, ...], tuple[Finding, ...]] = ((), ())

    def update(self, dataset: Dataset, progress: ProgressCallback) -> Numbers:
        """Compute the numbers of the photos and labels as they are now."""
        self._last = None
        new = self._session.update(dataset, progress)
        self._last, self._evidence = new, None
        data, crossed = new.judged, new.crossed
        return Numbers(
            labels=(data.negative, data.positive),
            files=tuple(photo.file for photo in data.photos),
            positive=data.targets == 1,
            probability=crossed.probability,
            predicted=crossed.predicted,
            groups=data.groups,
            accuracy=crossed.metrics["accuracy"],
            unsure=share_of(new.head.band.covers(crossed.probability), data.groups),
            promise=new.head.promise,
            change=new.change,
            seen=len(new.data.photos) - len(data.photos),
            skipped=data.skipped,
            seconds=new.seconds,
        )

    def agenda(self, dataset: Dataset, progress: ProgressCallback) -> Sequence[Task]:
        """List what cleaning and triage find, every photo once, in the order of `ORDER`."""
        tasks = [*map(_task_of, self._findings(dataset, progress)), *self._cases()]
        once: dict[str, Task] = {}
        for task in sorted(tasks, key=lambda task: ORDER.index(task.reason)):
            once.setdefault(task.file, task)
        return tuple(once.values())

    def gain(self, progress: ProgressCallback) -> Gain | None:
        """Compare the accuracy with all photos and with half of them, fold by fold."""
        if self._last is None:
            return None
        try:
            last = self._last
            half, whole = learning_curve(last.sample, self._of_folds(last), (_HALF, 1.0), FOLDS, 1, progress)
        except DatasetError:
            return None
        gains = np.subtract(whole.accuracies, half.accuracies)
        return Gain((half.photos, whole.photos), float(gains.mean()), corrected_interval(gains, test_to_train(FOLDS)))

    def label_next(
        self, dataset: Dataset, unlabelled: Sequence[LabelledPhoto], progress: ProgressCallback
    ) -> Sequence[Task]:
        """List unlabelled photos as `roadclear triage --unlabelled` does. Without labels they come by name."""
        self._ranked = None
        if not unlabelled:
            return ()
        files = {photo.path: photo.file for photo in unlabelled}
        try:
            read = self._session.read([*dataset.photos, *unlabelled], progress)
        except DatasetError:
            return tuple(map(_broken, files.values()))
        broken = [_broken(files[one.file], one.reason) for one in read.skipped if one.file in files]
        positive = choose_positive(dataset.labels, self._settings.positive)
        labels = next(label for label in dataset.labels if label != positive), positive
        try:
            ranking = rank(read, labels, AT_MOST, self._settings.seed)
        except DatasetError:
            bare = [photo for photo in read.photos if not photo.label][:AT_MOST]
            return (*broken, *(Task(TriageReason.LABEL_NEXT, photo.file, photo.label) for photo in bare))
        self._ranked = {entry.photo.file: entry.photo for entry in ranking.entries}, ranking.head
        return (*broken, *map(_unlabelled_task, ranking.entries))

    def evidence(self, file: str) -> Evidence | None:
        """Map a labelled photo by the head of its fold, and an unlabelled one by the head on all labelled photos."""
        ranked, last = self._ranked, self._last
        if ranked is not None and file in ranked[0]:
            space = self._session.extractor.space
            heatmap = map_photo(ranked[0][file], ranked[1], space.size, self._feature_map())
        elif last is not None:
            heatmap = self._fold_map(last, file)
        else:
            heatmap = None
        return None if heatmap is None else Evidence(heatmap, scale_ticks(heatmap)[-1])

    def _fold_map(self, last: SessionNumbers, file: str) -> NDArray[np.float32] | None:
        if self._evidence is None:
            places = {photo.file: place for place, photo in enumerate(last.judged.photos)}
            found = FoldEvidence(last.judged, last.sample, last.folds, self._of_folds(last), self._feature_map())
            self._evidence = places, found
        places, found = self._evidence
        return found.map(places[file]) if file in places else None

    def _feature_map(self) -> Engine:
        if self._engine is None:
            self._engine = open_feature_map(self._session.extractor.space)
        return self._engine

    def model(self, dataset: Dataset) -> Model:
        """Train as `roadclear train` does."""
        return Model(train(dataset, self._settings, self._cache).model)

    def _of_folds(self, numbers: SessionNumbers) -> TrainSettings:
        """Settings of the heads that the cross-validation trained."""
        return replace(self._settings, head=numbers.crossed.kind)

    def _findings(self, dataset: Dataset, progress: ProgressCallback) -> tuple[Finding, ...]:
        """Find what cleaning would set aside. The photos are read again only where files or labels have changed."""
        key = tuple((photo.file, photo.label) for photo in dataset.photos)
        if self._found[0] != key:
            self._found = key, find(dataset.photos, CleanRules(), self._cache, progress)
        return self._found[1]

    def _cases(self) -> Iterator[Task]:
        if self._last is None:
            return
        data, crossed = self._last.judged, self._last.crossed
        issues = find_label_issues(data.targets == 1, crossed.probability)
        labels = data.negative, data.positive
        known = OutOfFold(
            data.photos, data.hashes, data.look_alikes, labels, crossed.probability, crossed.threshold, issues
        )
        for case in list_cases(known):
            for entry in case.entries:
                others = tuple(other.photo.file for other in case.entries if other is not entry)
                yield Task(
                    reason=entry.reason,
                    file=entry.photo.file,
                    label=entry.photo.label,
                    suggested=entry.suggested,
                    probability=entry.probability,
                    beside=others,
                )


def _unlabelled_task(entry: Entry) -> Task:
    return Task(
        entry.reason,
        entry.photo.file,
        entry.photo.label,
        suggested=entry.suggested,
        probability=entry.probability,
        detail=entry.why,
    )


def _broken(file: str, why: str = "") -> Task:
    return Task(CleanReason.UNREADABLE, file, "", detail=why)


def _task_of(finding: Finding) -> Task:
    others = tuple(photo.file for photo in finding.copies if photo.file != finding.photo.file)
    beside = (finding.kept,) if finding.kept is not None else others
    told = finding.reason in (CleanReason.DUPLICATE, CleanReason.LOOK_ALIKE, CleanReason.CONFLICTING_LABEL)
    detail = "" if told else finding.detail
    return Task(finding.reason, finding.photo.file, finding.photo.label, beside=beside, detail=detail)
