"""What the linear reference head tells when every photo is tested in turn: doubtful labels, and the use of more photos.

It is fitted in a tenth of a second on the features that are there, so that this costs seconds, not minutes.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.errors import DatasetError
from roadclear.images.thumbnails import thumbnail
from roadclear.metrics.classification import Estimate
from roadclear.metrics.label_issues import suspects
from roadclear.training.cross_validation import LearningPoint, Sample, cross_validate, learning_curve, verdict
from roadclear.training.prepare import Report
from roadclear.training.recipe import Training

FOLDS = 5
SHARES = (0.1, 0.25, 0.5, 1.0)

_SHOWN = 12
_SIDE = 240


@dataclass(frozen=True)
class Doubt:
    """A label that is probably wrong; `picture` is a data URI, or None."""

    file: str
    label: str
    other: str
    probability: float
    part: str
    picture: str | None


@dataclass(frozen=True)
class Crosschecks:
    """Cross-validation of the linear head.

    Attributes:
        accuracy: over all photos, each tested by a head that saw neither it nor what belongs with it.
        doubts: the most doubtful labels, at most 12.
        doubts_total: how many labels are probably wrong.
        curve: accuracy over the number of photos.
        verdict: whether more photos would help, in words.
    """

    accuracy: Estimate
    doubts: tuple[Doubt, ...]
    doubts_total: int
    curve: tuple[LearningPoint, ...]
    verdict: str


def crosschecks(training: Training, report: Report) -> Crosschecks | None:
    """Cross-validate the linear head; None where there are too few photos of a label, or they are too much alike."""
    placement, facts = training.placement, training.facts
    positive = np.array([photo.label == facts.positive for photo in placement.photos])
    sample = Sample(placement.embeddings, (), positive.astype(np.int64), placement.groups)
    try:
        judged = cross_validate(sample, training.options, "linear", FOLDS, repeats=1, report=report)
        curve = learning_curve(sample, training.options, "linear", SHARES, repeats=1, report=report)
    except DatasetError:
        return None
    suspicion = suspects(positive, judged.probability)
    doubtful = [i for i in suspicion.ranked.tolist() if suspicion.suggested[i]]
    doubts = tuple(_doubt(training, i, float(judged.probability[i])) for i in doubtful[:_SHOWN])
    return Crosschecks(judged.metrics["accuracy"], doubts, len(doubtful), curve, verdict(curve))


def _doubt(training: Training, i: int, probability: float) -> Doubt:
    photo, facts = training.placement.photos[i], training.facts
    other = facts.negative if photo.label == facts.positive else facts.positive
    part = training.placement.parts[i]
    return Doubt(photo.file, photo.label, other, probability, part, thumbnail(photo.path, _SIDE))
