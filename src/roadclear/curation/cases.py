"""Which photos to look at, and in which order: label issues, then look-alikes that disagree, then unsure photos."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import LabelledPhoto
from roadclear.metrics.label_issues import LabelIssues
from roadclear.utils.arrays import Probabilities

UNSURE_LISTED = 20
"""Maximum number of unsure photos that are listed."""

_SIDE_BY_SIDE = 4


class TriageReason(StrEnum):
    """Why a photo is listed."""

    WRONG_LABEL = "wrong-label"
    LOOK_ALIKES_DISAGREE = "look-alikes-disagree"
    UNSURE = "unsure"
    LABEL_NEXT = "label-next"
    PROPOSAL = "proposal"


_WHY = {
    TriageReason.WRONG_LABEL: "the label is probably wrong",
    TriageReason.UNSURE: "the model is undecided",
}


@dataclass(frozen=True)
class Entry:
    """A photo to look at.

    Attributes:
        rank: place in the order of looking, from 1.
        reason: reason for listing the photo.
        photo: the photo, with its present label; "" for an unlabelled photo.
        sha256: SHA-256 of the file, in hex.
        suggested: predicted label, where it is not the present one; else None.
        probability: probability of the positive label, in [0, 1]. For labelled photos it is out of fold.
        why: the reason in words for a person.
    """

    rank: int
    reason: TriageReason
    photo: LabelledPhoto
    sha256: str
    suggested: str | None
    probability: float
    why: str


@dataclass(frozen=True)
class Case:
    """Entries that belong side by side.

    Attributes:
        reason: reason for listing the case.
        entries: one photo, or look-alikes under both labels.
    """

    reason: TriageReason
    entries: tuple[Entry, ...]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Photos with predictions of heads that were not trained on them.

    Attributes:
        photos: the photos [n].
        hashes: SHA-256 of the files [n], in hex.
        look_alikes: int [n], number of the group of look-alikes of each photo.
        labels: the negative and the positive label.
        probability: float64 [n], out-of-fold probability of the positive label.
        threshold: float64 [n]; a photo is predicted positive if its probability reaches its threshold.
        issues: label issues of the photos, see `roadclear.metrics.label_issues`.
    """

    photos: Sequence[LabelledPhoto]
    hashes: Sequence[str]
    look_alikes: NDArray[np.intp]
    labels: tuple[str, str]
    probability: Probabilities
    threshold: Probabilities
    issues: LabelIssues


def list_cases(known: OutOfFold) -> tuple[Case, ...]:
    """List the photos to look at. Every photo is listed at most once.

    A photo with a label issue stands beside its look-alikes under the other label. Of a large group of look-alikes,
    the four most doubtful photos of each label are listed. The unsure photos are those nearest to their threshold.
    """
    ranks = itertools.count(1)
    return tuple(
        Case(reason, tuple(_entry(known, i, next(ranks), reason, members) for i in members))
        for reason, members in _members(known)
    )


def _members(known: OutOfFold) -> Iterator[tuple[TriageReason, list[int]]]:
    """Yield the cases as indices of photos."""
    issues = known.issues
    groups = _disagreeing(known)
    listed: set[int] = set()
    for i in issues.ranked[issues.suggested[issues.ranked]].tolist():
        if i not in listed:
            beside = groups.pop(int(known.look_alikes[i]), [])
            members = [i, *(j for j in beside if j != i and j not in listed)]
            listed.update(members)
            yield TriageReason.WRONG_LABEL, members
    for members in sorted(groups.values(), key=lambda group: issues.self_confidence[group].min()):
        listed.update(members)
        yield TriageReason.LOOK_ALIKES_DISAGREE, members
    nearest = np.argsort(np.abs(known.probability - known.threshold), kind="stable").tolist()
    yield from (
        (TriageReason.UNSURE, [i]) for i in itertools.islice((i for i in nearest if i not in listed), UNSURE_LISTED)
    )


def _disagreeing(known: OutOfFold) -> dict[int, list[int]]:
    """Map each group of look-alikes with both labels to its most doubtful photos of each label."""
    by_component: dict[int, dict[str, list[int]]] = {}
    for i in known.issues.ranked.tolist():
        labels = by_component.setdefault(int(known.look_alikes[i]), {})
        labels.setdefault(known.photos[i].label, []).append(i)
    return {
        component: _by_doubt(known, itertools.chain.from_iterable(same[:_SIDE_BY_SIDE] for same in labels.values()))
        for component, labels in by_component.items()
        if len(labels) == 2
    }


def _by_doubt(known: OutOfFold, members: Iterable[int]) -> list[int]:
    return sorted(members, key=lambda i: float(known.issues.self_confidence[i]))


def _entry(known: OutOfFold, i: int, rank: int, reason: TriageReason, members: Sequence[int]) -> Entry:
    photo, probability = known.photos[i], float(known.probability[i])
    called = known.labels[int(probability >= known.threshold[i])]
    if known.issues.suggested[i]:
        reason, called = TriageReason.WRONG_LABEL, next(label for label in known.labels if label != photo.label)
    elif reason == TriageReason.WRONG_LABEL:
        reason = TriageReason.LOOK_ALIKES_DISAGREE
    rivals = [known.photos[j].file for j in members if known.photos[j].label != photo.label]
    beside = f"looks like {rivals[0]}, which has the other label" if rivals else ""
    why = ", ".join(filter(None, [_WHY.get(reason), beside]))
    return Entry(rank, reason, photo, known.hashes[i], called if called != photo.label else None, probability, why)
