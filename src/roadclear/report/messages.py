"""Sentences about a training that both the terminal and the report print: one function per sentence or group.

The functions only choose words. Every number comes from the result of the training.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from roadclear.report.words import count, interval, percent

if TYPE_CHECKING:
    from roadclear.data.dataset import LabelledPhoto
    from roadclear.metrics.classification import Confusion
    from roadclear.metrics.intervals import Estimate
    from roadclear.metrics.reliability import Reliability
    from roadclear.model.metadata import ModelFacts
    from roadclear.training.leakage import Leakage
    from roadclear.training.result import TrainingResult


def classes(positive: str, negative: str) -> str:
    """Which label is the positive class."""
    return f"Positive class: {positive}. Negative class: {negative}."


def share_with_interval(estimate: "Estimate") -> str:
    """A proportion with its interval ("94.9% (95% interval 89.3% to 97.6%, 99 photos)")."""
    return f"{percent(estimate.value)} (95% interval {interval(estimate)}, {count(estimate.n, 'photo')})"


def confusion_sentences(confusion: "Confusion", positive: str, negative: str) -> str:
    """The confusion matrix in words."""
    c = confusion
    return (
        f"Of {count(c.tp + c.fn, f'{positive} photo')}, {c.tp:,} {_were(c.tp)} found and {c.fn:,} missed. "
        f"Of {count(c.tn + c.fp, f'{negative} photo')}, {c.tn:,} {_were(c.tn)} called {negative} and {c.fp:,} "
        f"{'was a false alarm' if c.fp == 1 else 'were false alarms'}."
    )


def threshold_sentence(positive: str, threshold: float) -> str:
    """How a probability becomes a label."""
    return f"Photos with a probability of {threshold:.3f} or more are called {positive}."


def calibration_sentence(reliability: "Reliability", facts: "ModelFacts") -> str:
    """How far probabilities are from observed shares, before and after calibration."""
    before, after = reliability.before.expected_error, reliability.after.expected_error
    return (
        f"Probabilities differ from observed shares by {percent(after)} on average (expected calibration error). "
        f"Before calibration, by a temperature of {facts.temperature:.2f}, the difference was {percent(before)}."
    )


def unsure_sentences(reliability: "Reliability", facts: "ModelFacts") -> str:
    """How often the model abstains, and whether abstaining keeps the coverage that was asked for."""
    covered = " and ".join(f"{percent(share.value)} of {label} photos" for label, share in reliability.covered.items())
    return (
        f"The model answers 'unsure' for {percent(reliability.unsure.value)} of the test photos. The answer is right "
        f"or 'unsure' for {covered} (target: at least {percent(facts.band.coverage)})."
    )


def unfamiliar_sentences(reliability: "Reliability") -> str:
    """How often the model calls a test photo unfamiliar."""
    return (
        f"The model calls {percent(reliability.unfamiliar.value)} of the test photos 'unfamiliar'. All of these are "
        "false alarms, because the test photos are of the same kind as the training photos."
    )


def depth_sentences(training: "TrainingResult") -> str:
    """How the number of fine-tuned blocks was chosen; empty where the user chose the number."""
    trials, settings = training.trials, training.settings
    if not trials:
        return ""
    if len(trials) == 1:
        return (
            f"Fine-tuning did not fit into {settings.finetune_seconds:g} s, so the base network stays frozen. "
            "Raise --finetune-seconds to allow more time."
        )
    losses = ", ".join(f"{trial.validation_loss:.3f} with {count(trial.blocks, 'block')}" for trial in trials)
    return (
        "The number of fine-tuned blocks was chosen by validation loss: "
        f"{losses}. Chosen: --unfreeze {settings.unfreeze}."
    )


def group_sentences(leakage: "Leakage") -> list[str]:
    """Which photos form groups, and what a split that ignores groups would have reported."""
    if not leakage.groups:
        return ["No groups were found: no photos look alike, and no table says that photos share a scene."]
    sentences = [
        f"{count(leakage.grouped_photos, 'photo')} form {count(leakage.groups, 'group')} of one scene, one name or one "
        f"look; {leakage.look_alike_photos:,} of them look alike. Each group stays whole in one split: a test photo "
        "with a near-duplicate in training would be too easy."
    ]
    if leakage.expected_leaks:
        leaks = round(leakage.expected_leaks)
        number = (
            f"about {count(leaks, 'validation or test photo')}" if leaks else "less than one validation or test photo"
        )
        sentences.append(f"In a plain random split, {number} would share a group with a training photo.")
    if leakage.random_split_accuracy is not None and leakage.grouped_split_accuracy is not None:
        gain = leakage.random_split_accuracy - leakage.grouped_split_accuracy
        effect = f"overstate accuracy by {100 * gain:.1f} points" if gain > 0 else "do not overstate accuracy"
        sentences.append(
            f"The linear head reaches {percent(leakage.random_split_accuracy)} in plain random splits and "
            f"{percent(leakage.grouped_split_accuracy)} in splits that keep groups whole (means of 5). "
            f"By these means, plain random splits {effect}."
        )
    return sentences


def cross_validation_sentence(accuracy: "Estimate") -> str:
    """What cross-validation of the linear reference head measured on all photos."""
    return (
        f"With every photo tested in turn (five-fold cross-validation by whole groups), the linear reference head is "
        f"right on {share_with_interval(accuracy)}."
    )


def leak_warning(leakage: "Leakage") -> str:
    """A warning that the given split has near-duplicates or scenes on both sides; empty where there are none."""
    if not leakage.leaking_photos:
        return ""
    share = "shares" if leakage.leaking_photos == 1 else "share"
    return (
        f"{count(leakage.leaking_photos, 'validation or test photo')} {share} a group with a training photo (one "
        "scene, one name or one look). The given split makes the model look better than it is."
    )


def source_warnings(photos: "Iterable[LabelledPhoto]", positive: str, negative: str) -> list[str]:
    """Warnings about sources that have photos of one label only, the positive label first."""
    from roadclear.data.groups import one_sided_sources

    by_label: Mapping[str, list[str]] = {positive: [], negative: []}
    for source, label in one_sided_sources(photos).items():
        by_label[label].append(source)
    return [
        f"All photos from {', '.join(sources)} are {label}. The model may have learned the source instead."
        for label, sources in by_label.items()
        if sources
    ]


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
