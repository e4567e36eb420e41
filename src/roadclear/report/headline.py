"""The first thing to read: how often the model is right, how certain the number is, and warnings.

The terminal and the report show the same headline.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.data.split import TEST, leaking_photos
from roadclear.metrics.classification import Confusion, Evaluation
from roadclear.metrics.intervals import Estimate, share_of
from roadclear.report.messages import (
    beside_sentence,
    conflict_warning,
    coverage_warning,
    cross_validation_sentence,
    leak_warning,
    missed_label_warning,
    share_with_interval,
    source_warnings,
    validate_sentence,
)
from roadclear.report.starts import few_to_finetune_warning, seen_warning
from roadclear.report.words import FEW, count, frequency, interval, percent, plus_minus, share
from roadclear.training.result import CrossValidated, TrainingResult

_ROUGH = 100
UNEQUAL = 0.6
"""Share of the larger label above which accuracy alone flatters."""


@dataclass(frozen=True)
class Headline:
    """An accuracy and its meaning.

    Attributes:
        accuracy: test accuracy; where test photos are in training too, the accuracy on the other test photos, or that
            of cross-validation where there are no others.
        caption: what the accuracy is a share of, as the end of a sentence.
        lead: the accuracy in a sentence, and the balanced accuracy where one label is larger. `{sign}` stands for the
            plus-minus sign.
        sentences: what the accuracy means, in words.
        baseline: test accuracy of always answering the larger class.
        warnings: sentences that a reader must know before using the accuracy, the gravest first.
    """

    accuracy: Estimate
    caption: str
    lead: str
    sentences: tuple[str, ...]
    baseline: float
    warnings: tuple[str, ...]


def headline(training: TrainingResult, crossed: CrossValidated | None) -> Headline:
    """Describe how good a model is, with warnings.

    Args:
        training: result of a training with a test split.
        crossed: cross-validation of the recipe, of an adapted head or of the linear head; None where there is none.
    """
    test, facts = training.evaluations[TEST], training.facts
    answer, baseline = _best_constant(test.confusion, facts.positive, facts.negative)
    accuracy, caption, lead, meaning = _number(training, test, crossed)
    balanced = _balanced(test, crossed)
    sentences = (
        meaning,
        f"With {count(accuracy.n, 'photo')}, the true accuracy may lie anywhere from {interval(accuracy)} (95% "
        "interval). Four times as many photos would halve the range.",
        f"Always answering {answer} would be right {percent(baseline)} of the time.",
    )
    return Headline(
        accuracy=accuracy,
        caption=caption,
        lead=f"{lead} {balanced}" if balanced else lead,
        sentences=sentences,
        baseline=baseline,
        warnings=tuple(_warnings(training, test, crossed)),
    )


def closing_lines(evaluation: Evaluation, positive: str, negative: str) -> tuple[str, tuple[str, ...]]:
    """Describe how good a model is on other photos than those of its training.

    Args:
        evaluation: metrics on the photos.
        positive: positive label.
        negative: negative label.

    Returns:
        The accuracy in a sentence, with the balanced accuracy where one label is larger, and warnings.
    """
    accuracy = evaluation.metrics["accuracy"]
    found = [*_result_warnings(evaluation, positive, negative), _few_warning(accuracy, "photo")]
    lead = f"{share_with_interval(accuracy)}. {_balanced(evaluation, None)}".rstrip()
    return lead, tuple(warning for warning in found if warning)


def _number(
    training: TrainingResult, test: Evaluation, crossed: CrossValidated | None
) -> tuple[Estimate, str, str, str]:
    """Choose the accuracy that does not flatter: the accuracy, its caption, its short and its long sentence."""
    accuracy = test.metrics["accuracy"]
    leaking = training.leakage.leaking_test_photos
    if leaking:
        return _number_despite_leaks(training, accuracy, leaking, crossed)
    photos = f"{count(accuracy.n, 'test photo')} held back from training"
    if accuracy.n < FEW:
        right = round(accuracy.value * accuracy.n)
        meaning = f"On {photos}, the model was right {right:,} {'time' if right == 1 else 'times'}."
    else:
        meaning = f"On {photos}, the model was right {frequency(accuracy.value)}."
    return (
        accuracy,
        "of test photos are answered right",
        beside_sentence(accuracy, training, crossed, "{sign}"),
        meaning,
    )


def _number_despite_leaks(
    training: TrainingResult, accuracy: Estimate, leaking: int, crossed: CrossValidated | None
) -> tuple[Estimate, str, str, str]:
    are = "is" if leaking == 1 else "are"
    memory = (
        f"{leaking:,} of {count(accuracy.n, 'test photo')} {are} in training too (the same photo, scene, name or "
        f"look). So {share(accuracy)} on this split shows memory, not skill."
    )
    clean = _accuracy_without_leaks(training)
    if clean.n:
        lead = f"{share_with_interval(clean)} on the test photos that share nothing with training. {memory}"
        return clean, "of the test photos that share nothing with training are answered right", lead, memory
    if crossed is not None:
        cross_validated = cross_validation_sentence(crossed)
        of = " of the linear head" if crossed.of == "linear" else ""
        caption = f"in cross-validation{of}, because every test photo is in training too"
        lead = f"{beside_sentence(accuracy, training, crossed, '{sign}')} {memory}"
        return crossed.accuracy, caption, lead, f"{memory} {cross_validated}"
    return accuracy, "of test photos are answered right, but every test photo is in training too", memory, memory


def _accuracy_without_leaks(training: TrainingResult) -> Estimate:
    """Accuracy on test photos that have no photo of their group in training."""
    data = training.data
    chosen = data.is_in(TEST) & ~leaking_photos(data.groups, data.splits)
    right = (training.probabilities >= training.facts.threshold) == (data.targets == 1)
    return share_of(np.asarray(right[chosen]), data.groups[chosen])


def _best_constant(confusion: Confusion, positive: str, negative: str) -> tuple[str, float]:
    """The best constant answer, in words, and the share of test photos on which the answer is right."""
    positives, negatives = confusion.tp + confusion.fn, confusion.tn + confusion.fp
    constant = max(positives, negatives) / (positives + negatives)
    if positives == negatives:
        return "the same label", constant
    return f"{positive if positives > negatives else negative} (the larger class)", constant


def _balanced(test: Evaluation, crossed: CrossValidated | None) -> str:
    """The balanced accuracy in a sentence; empty where the labels are about equally frequent."""
    balanced = test.metrics["balanced_accuracy"]
    _, baseline = _best_constant(test.confusion, "", "")
    if baseline < UNEQUAL or not np.isfinite(balanced.value):
        return ""
    measured = f"{percent(balanced.value)} (95% interval {interval(balanced)})"
    if crossed is not None and np.isfinite(crossed.balanced_accuracy.value):
        of_all = plus_minus(crossed.balanced_accuracy, "{sign}")
        measured = f"{of_all} in cross-validation; {percent(balanced.value)} on this split"
    return (
        f"Balanced accuracy, in which both labels count the same: {measured}; always giving one answer reaches 50.0%."
    )


def _result_warnings(evaluation: Evaluation, positive: str, negative: str) -> list[str]:
    """Warnings that follow from the numbers alone: a label that was never found, and no better than a constant."""
    _, baseline = _best_constant(evaluation.confusion, positive, negative)
    found = [missed_label_warning(evaluation.confusion, positive, negative)]
    if evaluation.metrics["accuracy"].ci95[0] <= baseline:
        found.append(
            "The interval includes the accuracy of always answering the larger class. The model may have learned "
            "nothing."
        )
    return found


def _few_warning(accuracy: Estimate, photo: str) -> str:
    if accuracy.n >= _ROUGH:
        return ""
    return f"Only {count(accuracy.n, photo)}: every number about this model is rough."


def _warnings(training: TrainingResult, test: Evaluation, crossed: CrossValidated | None) -> list[str]:
    accuracy, facts = test.metrics["accuracy"], training.facts
    found = [
        seen_warning(training),
        few_to_finetune_warning(training),
        leak_warning(training.leakage),
        conflict_warning(training.label_conflicts),
        *_result_warnings(test, facts.positive, facts.negative),
    ]
    # A fine-tuned base and the head of a start are meant to be better than the linear reference.
    frozen = training.settings.unfreeze == 0 and training.data.start is None
    leaks = training.leakage.leaking_test_photos > 0  # the lead says so already
    if frozen and not leaks and crossed is not None and accuracy.value > crossed.accuracy.ci95[1]:
        found.append(f"The test split may be a lucky one. {cross_validation_sentence(crossed)}")
    found.append(_few_warning(accuracy, "test photo"))
    found += source_warnings(training.data.photos, facts.positive, facts.negative)
    found.append(validate_sentence(training))
    found.append(coverage_warning(training.settings.coverage, facts))
    return [warning for warning in found if warning]
