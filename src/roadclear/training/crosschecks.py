"""Cross-checks by the linear head, with every photo tested in turn: label issues, and the value of more photos.

The linear head trains in about 0.1 s on cached embeddings. Cross-validation takes about a second for a thousand photos,
and the learning curve some seconds.
"""

from dataclasses import dataclass, replace

import numpy as np

from roadclear.data.groups import sample_groups
from roadclear.errors import DatasetError
from roadclear.metrics.label_issues import find_label_issues
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.heads import adapted_start
from roadclear.training.learning_curve import LearningPoint, full_point, learning_curve
from roadclear.training.prepare import MOST_SAMPLED
from roadclear.training.result import ADAPTED, LINEAR, CrossValidated, TrainingResult
from roadclear.utils.progress import ProgressCallback, no_progress

FOLDS = 5
SHARES = (0.1, 0.25, 0.5)
"""Shares of the photos whose heads are trained for the learning curve, beside those of the cross-validation."""


@dataclass(frozen=True)
class LabelIssue:
    """A label that is probably wrong.

    Attributes:
        number: position of the photo among the usable photos.
        probability: out-of-fold probability of the positive class.
    """

    number: int
    probability: float


@dataclass(frozen=True)
class Crosschecks:
    """Cross-validation of a head on the frozen base.

    Attributes:
        cross_validated: metrics over all photos, each tested by a head that saw neither the photo nor its group.
        label_issues: labels that are probably wrong, the most doubtful first.
        curve: learning curve, the accuracy over the number of photos; empty where it was not asked for.
        sample: number of photos that were tested, where they are a sample of many photos; None for all photos.
    """

    cross_validated: CrossValidated
    label_issues: tuple[LabelIssue, ...]
    curve: tuple[LearningPoint, ...]
    sample: int | None = None


def crosscheck(
    result: TrainingResult, progress: ProgressCallback = no_progress, with_curve: bool = True
) -> Crosschecks | None:
    """Cross-validate the linear head on the photos of a training, or the head of the start where it was only adapted.

    Photos that the start has seen are left out. Of more than 20,000 photos a sample of 20,000 is taken.

    Args:
        result: result of the training.
        progress: called after every trained head with the stage, the finished number and the total number.
        with_curve: whether to measure the learning curve.

    Returns:
        The cross-checks, or None where a label has too few groups for the folds.
    """
    # A head on embeddings that the start made of photos it was trained on would look too good.
    whole = result.data
    adapted = adapted_start(whole, result.settings) if result.settings.unfreeze == 0 else None
    settings = result.settings if adapted is not None else replace(result.settings, head="linear")
    numbers = np.flatnonzero(~whole.familiar)
    tested = None
    if len(numbers) > MOST_SAMPLED:
        tested = MOST_SAMPLED
        numbers = numbers[sample_groups(whole.groups[numbers], MOST_SAMPLED, settings.seed)]
    data = whole if len(numbers) == len(whole.photos) else whole.only(numbers)
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups, adapted)
    try:
        crossed = cross_validate(sample, settings, FOLDS, repeats=1, progress=progress)
        curve: tuple[LearningPoint, ...] = ()
        if with_curve:
            # With all photos the curve would train the heads of the cross-validation again.
            smaller = learning_curve(sample, settings, SHARES, FOLDS, repeats=1, progress=progress)
            curve = (*smaller, full_point(crossed, data.groups))
    except DatasetError:
        return None
    issues = find_label_issues(data.targets == 1, crossed.probability)
    found = tuple(
        LabelIssue(int(numbers[number]), float(crossed.probability[number]))
        for number in issues.ranked.tolist()
        if issues.suggested[number]
    )
    of = LINEAR if adapted is None else ADAPTED
    return Crosschecks(CrossValidated.of_folds(crossed, of, tested), found, curve, tested)
