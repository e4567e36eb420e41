"""Pictures of photos whose label is probably wrong."""

from dataclasses import dataclass

from roadclear.images.thumbnails import thumbnail
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult
from roadclear.utils.threads import ordered_map, worker_threads

_SHOWN = 12
_SIDE = 560


@dataclass(frozen=True)
class ShownIssue:
    """A label issue; `picture` is a data URI, or None where the photo can no longer be read."""

    file: str
    label: str
    other: str
    probability: float
    split: str
    picture: str | None


def label_issues(training: TrainingResult, checks: Crosschecks | None) -> list[ShownIssue]:
    """The most probable label issues, at most 12."""
    if checks is None:
        return []
    issues = checks.label_issues[:_SHOWN]
    return list(ordered_map(lambda issue: _shown(training, issue.number, issue.probability), issues, worker_threads()))


def _shown(training: TrainingResult, number: int, probability: float) -> ShownIssue:
    data = training.data
    photo = data.photos[number]
    other = data.negative if photo.label == data.positive else data.positive
    picture = thumbnail(photo.path, _SIDE)
    return ShownIssue(photo.file, photo.label, other, probability, data.splits[number], picture)
