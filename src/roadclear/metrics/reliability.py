"""Reliability: calibration, and the shares of unsure, wrongly answered and unfamiliar photos."""

from collections.abc import Mapping
from dataclasses import dataclass

from roadclear.metrics.calibration import Calibration, measure_calibration
from roadclear.metrics.intervals import Estimate, number_groups, share_of
from roadclear.utils.arrays import Bools, Indices, Probabilities


@dataclass(frozen=True)
class Reliability:
    """Reliability of a model, measured on one split.

    Attributes:
        before: calibration of the head before temperature scaling.
        after: calibration of the model.
        unsure: share of photos with the answer "unsure".
        wrong: share of wrong answers among the photos that are answered; nan where no photo is answered.
        covered: share of photos with the correct answer or "unsure", by label.
        unfamiliar: share of unfamiliar photos. All are false alarms: the split resembles the training photos.
    """

    before: Calibration
    after: Calibration
    unsure: Estimate
    wrong: Estimate
    covered: Mapping[str, Estimate]
    unfamiliar: Estimate


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a model to n photos.

    Attributes:
        predicted: bool [n], whether the prediction is positive.
        unsure: bool [n], whether the answer is "unsure".
        unfamiliar: bool [n], whether the photo is unfamiliar.
    """

    predicted: Bools
    unsure: Bools
    unfamiliar: Bools


def measure_reliability(
    positive: Bools,
    before: Probabilities,
    after: Probabilities,
    answers: Answers,
    labels: tuple[str, str],
    groups: Indices | None = None,
) -> Reliability:
    """Measure the reliability of a model on one split.

    Args:
        positive: bool [n], whether each photo is of the positive class.
        before: float [n], probabilities of the positive class before calibration.
        after: float [n], probabilities of the positive class by the model.
        answers: answers of the model.
        labels: positive and negative label.
        groups: int [n], number of the group of each photo; None for no groups.
    """
    group = number_groups(groups, len(positive))
    covered, answered = answers.unsure | (answers.predicted == positive), ~answers.unsure
    return Reliability(
        before=measure_calibration(positive, before, group),
        after=measure_calibration(positive, after, group),
        unsure=share_of(answers.unsure, group),
        wrong=share_of(~covered[answered], group[answered]),
        covered={
            label: share_of(covered[positive == truth], group[positive == truth])
            for label, truth in zip(labels, (True, False), strict=True)
        },
        unfamiliar=share_of(answers.unfamiliar, group),
    )
