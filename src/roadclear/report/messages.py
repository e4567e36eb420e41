"""Sentences about a training that both the terminal and the report print: one function per sentence or group.

The functions only choose words. Every number comes from the result of the training.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from roadclear.report.words import FEW, count, interval, percent, plus_minus, seconds, several, share
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.data.dataset import LabelledPhoto
    from roadclear.metrics.classification import Confusion
    from roadclear.metrics.intervals import Estimate
    from roadclear.metrics.reliability import Reliability
    from roadclear.model.evaluate import EvaluationResult
    from roadclear.model.metadata import ModelFacts
    from roadclear.training.leakage import Leakage
    from roadclear.training.limits import Limits
    from roadclear.training.result import CrossValidated, TrainingResult


_NAMED = 2
"""Maximum number of sources that a sentence names."""


def classes(positive: str, negative: str) -> str:
    """Which label is the positive class."""
    return f"Positive class: {positive}. Negative class: {negative}."


def share_with_interval(estimate: "Estimate") -> str:
    """A proportion with its interval ("94.9% (95% interval 89.3% to 97.6%, 99 photos)").

    Few photos are said as a count ("1 of 2 photos (95% interval 9.5% to 90.5%)").
    """
    photos = f", {count(estimate.n, 'photo')}" if estimate.n >= FEW else ""
    return f"{share(estimate)} (95% interval {interval(estimate)}{photos})"


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


def promise_sentence(facts: "ModelFacts") -> str:
    """What the model promises about its answers, from how many photos, and what it costs; empty without a promise."""
    promise = facts.promise
    if promise is None:
        if not facts.band.coverage:
            return ""
        return (
            f"The answer is right or 'unsure' for at least {percent(facts.band.coverage)} of the photos of each label."
        )
    behind = f"{promise.wrong:,} of {promise.answered:,} {_ORIGINS.get(promise.origin, promise.origin)}"
    return (
        f"At most {percent(promise.stated)} of the answered photos are wrong ({promise.confidence:.0%} confidence, "
        f"{behind}); {percent(promise.unsure)} of photos are 'unsure'."
    )


_ORIGINS = {
    "validation photos": "validation photos",
    "cross-validation": "in cross-validation",
    "cross-validation of the linear head": "in cross-validation of the linear head",
}


def lower_promise_sentence(facts: "ModelFacts") -> str:
    """Why the requested share of wrong answers cannot be promised; empty where the share is promised."""
    promise = facts.promise
    if promise is None or promise.kept:
        return ""
    cannot = f"{percent(promise.max_error)} cannot be promised"
    independent = int(promise.answered * promise.independent)
    if independent < promise.needed:
        counted = "" if promise.independent == 1 else " that count as independent"
        return (
            f"{cannot}: {count(promise.needed, 'answered photo')} without a mistake would be needed, and there are "
            f"{independent:,}{counted}."
        )
    return f"{cannot}: {promise.wrong:,} of the surest answers are wrong. More 'unsure' (--max-unsure) would help."


def kept_sentences(result: "EvaluationResult") -> str:
    """Whether a model kept its promise on labelled photos; empty for a model without a promise."""
    promise, wrong = result.model.facts.promise, result.wrong
    if promise is None or not wrong.n:
        return ""
    low = wrong.ci95[0]
    if wrong.value <= promise.stated:
        verdict = "the promise is kept"
    elif low <= promise.stated:
        verdict = "the promise is missed by no more than chance explains"
    else:
        verdict = "the promise is broken"
    return (
        f"Promised: at most {percent(promise.stated)} wrong answers. Here {round(wrong.value * wrong.n):,} of "
        f"{count(wrong.n, 'answered photo')} are wrong (95% interval {interval(wrong)}), and "
        f"{percent(result.unsure.value)} of all photos are 'unsure': {verdict}."
    )


def depth_sentences(training: "TrainingResult") -> str:
    """How the number of fine-tuned blocks was chosen; empty where the user chose the number."""
    trials, settings = training.trials, training.settings
    if not trials:
        return ""
    losses = ", ".join(f"{trial.validation_loss:.3f} with {count(trial.blocks, 'block')}" for trial in trials)
    return (
        "The number of fine-tuned blocks was chosen by validation loss: "
        f"{losses}. Chosen: --unfreeze {settings.unfreeze}."
    )


def time_limit_sentence(training: "TrainingResult") -> str:
    """Which numbers of blocks the time limit left out; empty where all were tried, or none was to be tried."""
    from roadclear.training.config import DEPTHS

    tried = {trial.blocks for trial in training.trials}
    left = [str(blocks) for blocks in DEPTHS if blocks not in tried]
    if not tried or not left:
        return ""
    limit = f"{training.settings.finetune_seconds:g} s"
    return (
        f"Time ran out: {several(left)} fine-tuned blocks were not tried within {limit}. To try them, raise "
        "--finetune-seconds."
    )


def validate_sentence(training: "TrainingResult") -> str:
    """How to cross-validate a fine-tuned model, and what this costs by the times of the training; else empty.

    Cross-validation fine-tunes once for each fold and repeat.
    """
    from roadclear.training.cross_validation import FOLDS, REPEATS

    blocks = int(training.settings.unfreeze)
    if not blocks or training.settings.cross_fit:
        return ""
    sentence = "The fine-tuned model itself was not cross-validated. roadclear validate PHOTOS --unfreeze {} does so{}."
    if training.workers is not None:  # The times are those of a cluster, and validate uses none.
        return sentence.format(blocks, "")
    spent = [trial.seconds for trial in training.trials if trial.blocks == blocks]
    once = spent[0] if spent else training.timing["finetune_s"]
    return sentence.format(blocks, f", in about {_about(FOLDS * REPEATS * once)}")


def _about(value: float) -> str:
    return seconds(value) if value < 60 else count(round(value / 60), "minute")


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
    if leakage.sample is not None:
        sentences.append(f"Random splits were drawn of a sample of {leakage.sample:,} photos.")
    if leakage.random_split_accuracy is not None and leakage.grouped_split_accuracy is not None:
        gain = leakage.random_split_accuracy - leakage.grouped_split_accuracy
        effect = f"overstate accuracy by {100 * gain:.1f} points" if gain > 0 else "do not overstate accuracy"
        sentences.append(
            f"The linear head reaches {percent(leakage.random_split_accuracy)} in plain random splits and "
            f"{percent(leakage.grouped_split_accuracy)} in splits that keep groups whole (means of 5). "
            f"By these means, plain random splits {effect}."
        )
    return sentences


def limit_sentences(limits: "Limits") -> list[str]:
    """What was done on some of very many photos; nothing where all was done on all."""
    sentences = []
    if limits.look_alikes_in_cells:
        sentences.append(
            "There are too many photos to compare all pairs. Look-alikes were searched within cells of similar photos. "
            "Some were missed, and may lie on both sides of the split."
        )
    if limits.linear_head_photos is not None:
        sentences.append(
            f"Linear heads were trained on {limits.linear_head_photos:,} of the training photos, as many of each label "
            "as there are."
        )
    return sentences


def cross_validation_sentence(crossed: "CrossValidated") -> str:
    """What cross-validation measured: the recipe outside the test split, an adapted head, or the linear head."""
    if crossed.of == "recipe":
        return (
            "With every photo outside the test split tested in turn (five-fold cross-validation by whole groups), the "
            f"recipe of this model is right on {share_with_interval(crossed.accuracy)}."
        )
    every = "every photo" if crossed.sample is None else f"each of {crossed.sample:,} sampled photos"
    head = "head of the earlier model, adapted in each fold," if crossed.of == "adapted" else "linear reference head"
    return (
        f"With {every} tested in turn (five-fold cross-validation by whole groups), the {head} is "
        f"right on {share_with_interval(crossed.accuracy)}."
    )


def beside_sentence(test: "Estimate", training: "TrainingResult", crossed: "CrossValidated | None", sign: str) -> str:
    """The cross-validated accuracy beside that of the split ("94.9% ± 1.6 in cross-validation; 99.2% on this split").

    Args:
        test: test accuracy.
        training: result of the training.
        crossed: cross-validation of the recipe, of an adapted head or of the linear head; None where there is none.
        sign: plus-minus sign.
    """
    if test.n < FEW:
        split = f"{share(test)} right on this split, too few to say more (95% interval {interval(test)})"
    else:
        split = f"{share(test)} on this split (95% interval {interval(test)}, {count(test.n, 'test photo')})"
    if crossed is None:
        return f"{split}."
    if crossed.of == "linear" and training.settings.unfreeze:
        linear = f"the linear head on the frozen base reaches {plus_minus(crossed.accuracy, sign)} in cross-validation"
        return f"{split}; {linear}."
    kind = " of the linear head" if crossed.of == "linear" and training.facts.head != "linear" else ""
    return f"{plus_minus(crossed.accuracy, sign)} in cross-validation{kind}; {split}."


def leak_warning(leakage: "Leakage") -> str:
    """A warning that the given split has near-duplicates or scenes on both sides; empty where there are none."""
    if not leakage.leaking_photos:
        return ""
    verb = "shares" if leakage.leaking_photos == 1 else "share"
    return (
        f"{count(leakage.leaking_photos, 'validation or test photo')} {verb} a group with a training photo (one "
        "scene, one name or one look). The given split makes the model look better than it is."
    )


def conflict_warning(conflicts: "Sequence[Sequence[str]]") -> str:
    """A warning about files of the same content under both labels; empty where there are none."""
    if not conflicts:
        return ""
    example = several([printable(file) for file in conflicts[0]])
    return (
        f"{count(len(conflicts), 'photo lies', 'photos lie')} under both labels, for example {example}. One of the "
        "labels is wrong. roadclear clean sets such photos aside."
    )


def missed_label_warning(confusion: "Confusion", positive: str, negative: str) -> str:
    """A warning that the model found no photo of one label; empty where some of both were found."""
    c = confusion
    for label, found, others in ((positive, c.tp, c.fn), (negative, c.tn, c.fp)):
        if not found and others:
            photos = f"the {count(others, f'{label} photo')}" if others > 1 else f"the only {label} photo"
            return f"The model recognised {'none of ' if others > 1 else 'not even '}{photos}."
    return ""


def coverage_warning(requested: float | None, facts: "ModelFacts") -> str:
    """A warning that a label has too few photos to promise the requested coverage; empty where it is promised."""
    if requested is None or facts.band.coverage >= requested or facts.validation is None:
        return ""
    counts = dict(zip((facts.positive, facts.negative), facts.validation.photos, strict=True))
    label = min(counts, key=counts.__getitem__)
    return (
        f"The answer is right or 'unsure' for at least {percent(facts.band.coverage)} of the photos of each label, not "
        f"for the requested {percent(requested)}: {count(counts[label], f'{label} photo')} outside the training can "
        "promise no more."
    )


def source_warnings(photos: "Iterable[LabelledPhoto]", positive: str, negative: str) -> list[str]:
    """Warnings about sources that have photos of one label only, the positive label first."""
    from roadclear.data.groups import one_sided_sources

    by_label: Mapping[str, list[str]] = {positive: [], negative: []}
    for source, label in one_sided_sources(photos).items():
        by_label[label].append(source)
    return [
        f"All photos from {_named(sources)} are {label}. The model may have learned the source instead."
        for label, sources in by_label.items()
        if sources
    ]


def _named(sources: "Sequence[str]") -> str:
    """Name a source or two, or count the sources and name the first."""
    if len(sources) <= _NAMED:
        return several(sources)
    return f"{len(sources):,} sources ({sources[0]} and others)"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
