"""Sentences about a training that starts from an earlier model: what was trained, and which photos were seen before."""

from typing import TYPE_CHECKING

import numpy as np

from roadclear.data.split import TEST, TRAIN, VALIDATION
from roadclear.report.words import count, several

if TYPE_CHECKING:
    from roadclear.training.result import TrainingResult
    from roadclear.training.validation import Validation


def start_sentences(training: "TrainingResult") -> str:
    """What a training started from, what was trained and why, and which photos were seen; empty without a start."""
    from roadclear.training.heads import FEW as FEW_TO_TRAIN
    from roadclear.training.heads import are_few

    data, facts = training.data, training.facts
    if data.start is None:
        return ""
    rarer = int(np.bincount(data.select(TRAIN)[1], minlength=2).min())
    photos = count(rarer, "training photo")
    if {facts.positive, facts.negative} != {data.start.facts.positive, data.start.facts.negative}:
        trained = "The head is new, because the start has other labels."
    elif facts.head != data.start.facts.head:
        trained = f"The head is new, because the start has a {data.start.facts.head} head."
    elif are_few(data.select(TRAIN)[1]):
        trained = (
            f"Only the output layer of its head was adapted, because there are {photos} of the rarer label. To train "
            f"other layers on fewer than {FEW_TO_TRAIN} does harm."
        )
    else:
        trained = f"Its whole head was trained on, because there are {photos} of the rarer label."
    return f"Started from the model {data.start.name}. {trained} {_seen_sentences(training)}"


def _seen_sentences(training: "TrainingResult") -> str:
    """Which photos the start has seen, where no number is measured on them."""
    data = training.data
    if data.start is None or data.start.facts.trained_on is None:
        return "The start does not say which photos it has seen."
    seen = int(data.seen.sum())
    known = f"It has seen {seen:,} of the photos, which are training photos here. " if seen else ""
    if seen_warning(training):
        known = ""
    return f"{known}Look-alikes of photos that it has seen elsewhere cannot be recognised."


def seen_warning(training: "TrainingResult") -> str:
    """A warning that the start has seen validation or test photos; empty where it has seen none of them."""
    data = training.data
    parts = {split: int(data.seen[data.is_in(split)].sum()) for split in (VALIDATION, TEST) if split in data.splits}
    if not any(parts.values()):
        return ""
    found = several([count(number, f"{split} photo") for split, number in parts.items() if number])
    return f"The model that the training started from has seen {found}. The numbers on them are too good."


def few_to_finetune_warning(training: "TrainingResult") -> str:
    """A warning that an earlier model was fine-tuned on few photos, against what was measured; else empty."""
    from roadclear.training.heads import FEW as FEW_TO_TRAIN
    from roadclear.training.heads import are_few

    data = training.data
    adapts = data.head_of_start(training.facts.head) is not None and are_few(data.select(TRAIN)[1])
    if not adapts or training.settings.unfreeze == 0:
        return ""
    return (
        f"To fine-tune an earlier model on fewer than {FEW_TO_TRAIN} training photos of a label makes it worse on "
        "photos like those that it knows, as measured: leave --unfreeze out."
    )


def left_out_sentence(validation: "Validation") -> str:
    """How many photos cross-validation left out, because the start has seen them; empty where there are none."""
    if not validation.left_out:
        return ""
    are = "is" if validation.left_out == 1 else "are"
    return (
        f"{count(validation.left_out, 'other photo')} {are} not tested, because the start has seen the photo or a "
        "look-alike."
    )


def seen_in_folds_warning(validation: "Validation") -> str:
    """A warning that photos in the test folds were seen by the start; empty where none was."""
    seen = int(validation.data.seen.sum())
    if not seen:
        return ""
    return (
        f"The start has seen {seen:,} of the {count(len(validation.data.photos), 'photo')}, and too few others remain "
        "to test on. All numbers are too good: add photos that the start has not seen."
    )
