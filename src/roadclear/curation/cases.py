"""What to look at, in which order: doubtful labels first, then look-alikes that disagree, then unsure photos."""

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
"""So many of the photos that the model is most unsure of are listed."""

_SIDE_BY_SIDE = 4


class TriageReason(StrEnum):
    """Why a photo is listed."""

    WRONG_LABEL = "wrong-label"
    LOOK_ALIKES_DISAGREE = "look-alikes-disagree"
    UNSURE = "unsure"


_WHY = {
    TriageReason.WRONG_LABEL: "the label is probably wrong",
    TriageReason.UNSURE: "the model is undecided",
}


@dataclass(frozen=True)
class Entry:
    """A photo to look at.

    Attributes:
        rank: from 1, in the order of looking.
        reason: why it is listed.
        photo: with the label that it is given.
        sha256: of its file, in hex.
        suggested: the other label, where the model calls it so; else None.
        probability: out-of-fold, of the positive label, in [0, 1].
        why: for a person.
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
        reason: of the case.
        entries: one photo, or look-alikes under both labels.
    """

    reason: TriageReason
    entries: tuple[Entry, ...]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Photos, and what is known of them without having trained on them.

    Attributes:
        photos: [n].
        hashes: [n] SHA-256 of their files, in hex.
        look_alikes: int [n], components of photos that look alike.
        labels: the negative label and the positive one.
        probability: float64 [n], out-of-fold, of the positive label.
        threshold: float64 [n]; photos whose probability reaches it are called positive.
        suspicion: of the labels, see `roadclear.metrics.label_issues`.
    """

    photos: Sequence[LabelledPhoto]
    hashes: Sequence[str]
    look_alikes: NDArray[np.intp]
    labels: tuple[str, str]
    probability: Probabilities
    threshold: Probabilities
    suspicion: LabelIssues


def list_cases(judged: OutOfFold) -> tuple[Case, ...]:
    """List what to look at. Every photo is listed at most once.

    A doubtful photo stands beside its look-alikes under the other label. Of a large group of look-alikes the most
    doubtful four of each label are listed. Unsure are the photos whose probability is nearest to their threshold.
    """
    ranks = itertools.count(1)
    return tuple(
        Case(reason, tuple(_entry(judged, i, next(ranks), reason, members) for i in members))
        for reason, members in _members(judged)
    )


def _members(judged: OutOfFold) -> Iterator[tuple[TriageReason, list[int]]]:
    """The cases as indices of photos."""
    suspicion = judged.suspicion
    groups = _disagreeing(judged)
    listed: set[int] = set()
    for i in suspicion.ranked[suspicion.suggested[suspicion.ranked]].tolist():
        if i not in listed:
            beside = groups.pop(int(judged.look_alikes[i]), [])
            members = [i, *(j for j in beside if j != i and j not in listed)]
            listed.update(members)
            yield TriageReason.WRONG_LABEL, members
    for members in sorted(groups.values(), key=lambda group: suspicion.self_confidence[group].min()):
        listed.update(members)
        yield TriageReason.LOOK_ALIKES_DISAGREE, members
    nearest = np.argsort(np.abs(judged.probability - judged.threshold), kind="stable").tolist()
    yield from (
        (TriageReason.UNSURE, [i]) for i in itertools.islice((i for i in nearest if i not in listed), UNSURE_LISTED)
    )


def _disagreeing(judged: OutOfFold) -> dict[int, list[int]]:
    """Component -> its most doubtful photos of both labels, for components that have both."""
    by_component: dict[int, dict[str, list[int]]] = {}
    for i in judged.suspicion.ranked.tolist():
        labels = by_component.setdefault(int(judged.look_alikes[i]), {})
        labels.setdefault(judged.photos[i].label, []).append(i)
    return {
        component: _by_doubt(judged, itertools.chain.from_iterable(same[:_SIDE_BY_SIDE] for same in labels.values()))
        for component, labels in by_component.items()
        if len(labels) == 2
    }


def _by_doubt(judged: OutOfFold, members: Iterable[int]) -> list[int]:
    return sorted(members, key=lambda i: float(judged.suspicion.self_confidence[i]))


def _entry(judged: OutOfFold, i: int, rank: int, reason: TriageReason, members: Sequence[int]) -> Entry:
    photo, probability = judged.photos[i], float(judged.probability[i])
    called = judged.labels[int(probability >= judged.threshold[i])]
    if judged.suspicion.suggested[i]:
        reason, called = TriageReason.WRONG_LABEL, next(label for label in judged.labels if label != photo.label)
    elif reason == TriageReason.WRONG_LABEL:
        reason = TriageReason.LOOK_ALIKES_DISAGREE
    rivals = [judged.photos[j].file for j in members if judged.photos[j].label != photo.label]
    beside = f"looks like {rivals[0]}, which has the other label" if rivals else ""
    why = ", ".join(filter(None, [_WHY.get(reason), beside]))
    return Entry(rank, reason, photo, judged.hashes[i], called if called != photo.label else None, probability, why)
