"""What the linear reference head shows when every photo is tested in turn: label issues, and the use of more photos.

The linear head is trained in a tenth of a second on features that are there, so this costs seconds, not minutes.
"""

from dataclasses import dataclass

from roadclear.errors import DatasetError
from roadclear.metrics.intervals import Estimate
from roadclear.metrics.label_issues import find_label_issues
from roadclear.training.cross_validation import CrossValidationData, cross_validate
from roadclear.training.learning_curve import LearningPoint, learning_curve
from roadclear.training.result import TrainingResult
from roadclear.utils.progress import ProgressCallback, no_progress

FOLDS = 5
SHARES = (0.1, 0.25, 0.5, 1.0)


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
    """Cross-validation of the linear head on the frozen base.

    Attributes:
        accuracy: over all photos, each tested by a head that saw neither the photo nor its group.
        label_issues: labels that are probably wrong, the most doubtful first.
        curve: accuracy over the number of photos.
    """

    accuracy: Estimate
    label_issues: tuple[LabelIssue, ...]
    curve: tuple[LearningPoint, ...]


def crosscheck(result: TrainingResult, progress: ProgressCallback = no_progress) -> Crosschecks | None:
    """Cross-validate the linear head; None where there are too few photos of a label, or they are too much alike."""
    data = result.data
    sample = CrossValidationData(data.embeddings, (), data.targets, data.groups)
    try:
        crossed = cross_validate(sample, result.settings, "linear", FOLDS, repeats=1, progress=progress)
        curve = learning_curve(sample, result.settings, "linear", SHARES, repeats=1, progress=progress)
    except DatasetError:
        return None
    issues = find_label_issues(data.targets == 1, crossed.probability)
    found = tuple(
        LabelIssue(number, float(crossed.probability[number]))
        for number in issues.ranked.tolist()
        if issues.suggested[number]
    )
    return Crosschecks(crossed.metrics["accuracy"], found, curve)
