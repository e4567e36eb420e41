"""What may be relied upon beside the label: calibration, and how often the model says that it does not know."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roadclear.metrics.calibration import Calibration, measure_calibration
from roadclear.metrics.intervals import Estimate, proportion
from roadclear.utils.arrays import Bools, Probabilities


@dataclass(frozen=True)
class Reliability:
    """What may be relied upon beside the label, measured on one part of the photos.

    Attributes:
        before: calibration of the head as it was trained.
        after: calibration of the model.
        unsure: share of photos that are answered with "unsure".
        covered: share of photos that are answered rightly or with "unsure", by label.
        unfamiliar: share of photos that are called unfamiliar: false alarms, as these are photos like the others.
    """

    before: Calibration
    after: Calibration
    unsure: Estimate
    covered: Mapping[str, Estimate]
    unfamiliar: Estimate


def measure_reliability(
    positive: Bools,
    before: Probabilities,
    after: Probabilities,
    threshold: float,
    unsure: Bools,
    unfamiliar: Bools,
    labels: tuple[str, str],
) -> Reliability:
    """Measure what a model says beside the label.

    Args:
        positive: [n], whether the photo is of the positive class.
        before: [n], probabilities before calibration.
        after: [n], probabilities of the model.
        threshold: photos with at least this probability are called positive.
        unsure: [n], whether the answer is "unsure".
        unfamiliar: [n], whether the photo is called unfamiliar.
        labels: the positive and the negative one.
    """
    covered = unsure | ((after >= threshold) == positive)
    return Reliability(
        before=measure_calibration(positive, before),
        after=measure_calibration(positive, after),
        unsure=_share(unsure),
        covered={label: _share(covered[positive == truth]) for label, truth in zip(labels, (True, False), strict=True)},
        unfamiliar=_share(unfamiliar),
    )


def _share(hits: Bools) -> Estimate:
    return proportion(int(np.sum(hits)), len(hits))
