"""Training that follows a folder: the session, the findings and the maps, as the studio asks for them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from roadclear.curation.cases import OutOfFold, TriageReason, list_cases
from roadclear.curation.evidence import FoldEvidence, open_feature_map
from roadclear.curation.rules import CleanReason, CleanRules, Finding, find
from roadclear.data.dataset import Dataset
from roadclear.data.folds import test_to_train
from roadclear.data.split import TEST
from roadclear.deploy.studio.ports import Evidence, Gain, Numbers, Task
from roadclear.errors import DatasetError
from roadclear.features.cache import FeatureCache
from roadclear.features.engine import Engine
from roadclear.metrics.intervals import Estimate, corrected_interval, share_of
from roadclear.metrics.label_issues import find_label_issues
from roadclear.model.drawing.overlay import scale_ticks
from roadclear.model.heads import probabilities
from roadclear.model.predictor import Model
from roadclear.training.config import TrainSettings
from roadclear.training.cross_validation import CrossValidationData
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
        self._linear = replace(settings, head="linear")
        self._last: SessionNumbers | None = None
        self._evidence: tuple[dict[str, int], FoldEvidence] | None = None
        self._engine: Engine | None = None
        self._found: tuple[tuple[object, ...], tuple[Finding, ...]] = ((), ())

    def update(self, dataset: Dataset, progress: ProgressCallback) -> Numbers:
        """Compute the numbers of the photos and labels as they are now."""
        self._last = None
        new = self._session.update(dataset, progress)
        self._last, self._evidence = new, None
        data, crossed = new.data, new.crossed
        return Numbers(
            labels=(data.negative, data.positive),
            files=tuple(photo.file for photo in data.photos),
            positive=data.targets == 1,
            probability=crossed.probability,
            predicted=crossed.predicted,
            groups=data.groups,
            accuracy=crossed.metrics["accuracy"],
            unsure=_unsure(new),
            change=new.change,
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
            half, whole = learning_curve(self._sample(self._last), self._linear, (_HALF, 1.0), FOLDS, 1, progress)
        except DatasetError:
            return None
        gains = np.subtract(whole.accuracies, half.accuracies)
        return Gain((half.photos, whole.photos), float(gains.mean()), corrected_interval(gains, test_to_train(FOLDS)))

    def evidence(self, file: str) -> Evidence | None:
        """Map a photo by the head of its fold."""
        last = self._last
        if last is None:
            return None
        if self._engine is None:
            self._engine = open_feature_map(last.data.extractor.space)
        if self._evidence is None:
            places = {photo.file: place for place, photo in enumerate(last.data.photos)}
            found = FoldEvidence(last.data, self._sample(last), last.folds, self._linear, self._engine)
            self._evidence = places, found
        places, found = self._evidence
        heatmap = found.map(places[file]) if file in places else None
        return None if heatmap is None else Evidence(heatmap, scale_ticks(heatmap)[-1])

    def model(self, dataset: Dataset) -> Model:
        """Train as `roadclear train` does."""
        return Model(train(dataset, self._settings, self._cache).model)

    def _sample(self, numbers: SessionNumbers) -> CrossValidationData:
        data = numbers.data
        return CrossValidationData(data.embeddings, (), data.targets, data.groups)

    def _findings(self, dataset: Dataset, progress: ProgressCallback) -> tuple[Finding, ...]:
        """Find what cleaning would set aside. The photos are read again only where files or labels have changed."""
        key = tuple((photo.file, photo.label) for photo in dataset.photos)
        if self._found[0] != key:
            self._found = key, find(dataset.photos, CleanRules(), self._cache, progress)
        return self._found[1]

    def _cases(self) -> Iterator[Task]:
        if self._last is None:
            return
        data, crossed = self._last.data, self._last.crossed
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


def _unsure(numbers: SessionNumbers) -> Estimate:
    """Share of the test photos with the answer "unsure"."""
    data, tested = numbers.data, numbers.data.is_in(TEST)
    probability = probabilities(numbers.head.head, data.embeddings[tested])
    return share_of(numbers.head.band.covers(probability), data.groups[tested])


def _task_of(finding: Finding) -> Task:
    others = tuple(photo.file for photo in finding.copies if photo.file != finding.photo.file)
    beside = (finding.kept,) if finding.kept is not None else others
    told = finding.reason in (CleanReason.DUPLICATE, CleanReason.LOOK_ALIKE, CleanReason.CONFLICTING_LABEL)
    detail = "" if told else finding.detail
    return Task(finding.reason, finding.photo.file, finding.photo.label, beside=beside, detail=detail)
