"""The first thing to read: how often the model is right, how certain the number is, and warnings."""

from dataclasses import dataclass

from roadclear.data.split import TEST
from roadclear.metrics.classification import Confusion, Evaluation
from roadclear.metrics.intervals import Estimate
from roadclear.report.messages import cross_validation_sentence, leak_warning, source_warnings
from roadclear.report.words import count, frequency, interval, percent
from roadclear.training.crosschecks import Crosschecks
from roadclear.training.result import TrainingResult

_FEW = 100


@dataclass(frozen=True)
class Headline:
    """Test accuracy and its meaning.

    Attributes:
        accuracy: test accuracy.
        sentences: what the accuracy means, in words.
        baseline: test accuracy of always answering the larger class.
        warnings: sentences that a reader must know before using the accuracy.
    """

    accuracy: Estimate
    sentences: tuple[str, ...]
    baseline: float
    warnings: tuple[str, ...]


def headline(training: TrainingResult, checks: Crosschecks | None) -> Headline:
    """Describe the test accuracy of a training, with warnings from cross-validation where there is one."""
    test, facts = training.evaluations[TEST], training.facts
    accuracy = test.metrics["accuracy"]
    answer, share = _best_constant(test.confusion, facts.positive, facts.negative)
    sentences = (
        f"On {count(accuracy.n, 'test photo')} held back from training, the model was right "
        f"{frequency(accuracy.value)}.",
        f"With {count(accuracy.n, 'test photo')}, the true accuracy may lie anywhere from {interval(accuracy)} (95% "
        "interval). Four times as many test photos would halve the range.",
        f"Always answering {answer} would be right {percent(share)} of the time.",
    )
    return Headline(accuracy, sentences, share, tuple(_warnings(training, test, share, checks)))


def _best_constant(confusion: Confusion, positive: str, negative: str) -> tuple[str, float]:
    """The best constant answer, in words, and the share of test photos on which the answer is right."""
    positives, negatives = confusion.tp + confusion.fn, confusion.tn + confusion.fp
    share = max(positives, negatives) / (positives + negatives)
    if positives == negatives:
        return "the same label", share
    return f"{positive if positives > negatives else negative} (the larger class)", share


def _warnings(training: TrainingResult, test: Evaluation, baseline: float, checks: Crosschecks | None) -> list[str]:
    accuracy, facts = test.metrics["accuracy"], training.facts
    found = []
    if accuracy.ci95[0] <= baseline:
        found.append(
            "The interval includes the accuracy of always answering the larger class. The model may have learned "
            "nothing."
        )
    frozen = training.settings.unfreeze == 0  # a fine-tuned base is meant to be better than the linear reference
    if frozen and checks is not None and accuracy.value > checks.accuracy.ci95[1]:
        found.append(f"The test split may be a lucky one. {cross_validation_sentence(checks.accuracy)}")
    found.append(leak_warning(training.leakage))
    if accuracy.n < _FEW:
        found.append(f"Only {count(accuracy.n, 'test photo')}: every number on this page is rough.")
    found += source_warnings(training.data.photos, facts.positive, facts.negative)
    return [warning for warning in found if warning]
