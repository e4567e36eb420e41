"""The first thing to read: how often the model is right, how sure that is, and what to beware of."""

from dataclasses import dataclass

from roadclear.data.groups import one_sided_sources
from roadclear.data.split import TEST
from roadclear.metrics.classification import Confusion, Evaluation
from roadclear.metrics.intervals import Estimate
from roadclear.report.words import count, frequency, interval, percent
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult

_FEW = 100


@dataclass(frozen=True)
class Headline:
    """Test accuracy and its meaning.

    Attributes:
        accuracy: on the test photos.
        sentences: what it means.
        baseline: test accuracy of always answering the larger class.
        warnings: what a reader must know before using the number.
    """

    accuracy: Estimate
    sentences: tuple[str, ...]
    baseline: float
    warnings: tuple[str, ...]


def headline(training: TrainingResult, checks: Crosschecks | None) -> Headline:
    """The headline of a training with a test part, in the light of cross-validation, where there is one."""
    test, facts = training.evaluations[TEST], training.facts
    accuracy = test.metrics["accuracy"]
    answer, share = _best_constant(test.confusion, facts.positive, facts.negative)
    sentences = (
        f"On {count(accuracy.n, 'test photo')} that it never saw in training, the model was right "
        f"{frequency(accuracy.value)}.",
        f"With {count(accuracy.n, 'photo')}, the true value may lie anywhere from {interval(accuracy)} (95% interval). "
        "Four times as many test photos would halve that range.",
        f"Always answering {answer} would be right {percent(share)} of the time.",
    )
    return Headline(accuracy, sentences, share, tuple(_warnings(training, test, share, checks)))


def _best_constant(confusion: Confusion, positive: str, negative: str) -> tuple[str, float]:
    """What always to answer, in words, and the share of test photos on which that is right."""
    positives, negatives = confusion.tp + confusion.fn, confusion.tn + confusion.fp
    share = max(positives, negatives) / (positives + negatives)
    if positives == negatives:
        return "the same label", share
    return f"“{positive if positives > negatives else negative}”, the larger class,", share


def _warnings(training: TrainingResult, test: Evaluation, baseline: float, checks: Crosschecks | None) -> list[str]:
    accuracy, leakage, facts = test.metrics["accuracy"], training.leakage, training.facts
    found = []
    if accuracy.ci95[0] <= baseline:
        found.append("The interval reaches down to what always answering the larger class would do: the model may have "
                     "learned nothing.")  # fmt: skip
    frozen = training.settings.unfreeze == 0  # a fine-tuned base is meant to be better than the linear reference
    if frozen and checks is not None and accuracy.value > checks.accuracy.ci95[1]:
        found.append(
            f"This split may be a lucky one. Tested on all {count(checks.accuracy.n, 'photo')} in turn, the linear "
            f"reference head is right on {percent(checks.accuracy.value)} (95% interval {interval(checks.accuracy)})."
        )
    if leakage.leaking_photos:
        found.append(
            f"{count(leakage.leaking_photos, 'validation or test photo')} look like, or show the scene of, a training "
            "photo. The given split flatters the model."
        )
    if accuracy.n < _FEW:
        found.append(f"Only {count(accuracy.n, 'test photo')}: every number here is rough.")
    for label in (facts.positive, facts.negative):
        sources = [name for name, only in one_sided_sources(training.data.photos).items() if only == label]
        if sources:
            found.append(f"All photos from {', '.join(sources)} are {label}: the model may have learned the source.")
    return found
