"""Labels: choice of the positive class, and the minimum number of photos per label."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from roadclear.errors import DatasetError, OptionError

MINIMUM_PER_LABEL = 10

# Words that name the absence of something. A label made of or starting with one is the negative class.
_NEGATIVE_WORDS = {"absent", "background", "clear", "empty", "false", "neg", "negative", "no", "non", "none"}
_NEGATIVE_WORDS |= {"normal", "not", "nothing", "other", "others", "without"}
# Whole names with the same meaning, too short to begin a longer name with this meaning.
_NEGATIVE_NAMES = {"0", "n", "off", "-"}


def check_enough(labels: Iterable[str], both: Sequence[str]) -> None:
    """Refuse fewer than 10 photos of a label.

    Args:
        labels: labels of the readable photos.
        both: the two label names.

    Raises:
        DatasetError: a label has fewer than 10 photos.
    """
    counts = Counter(labels)
    for label in both:
        if counts[label] < MINIMUM_PER_LABEL:
            raise DatasetError(
                f"expected at least {MINIMUM_PER_LABEL} readable photos of each label, found {counts[label]} of "
                f"{label!r}: add photos (a hundred of each is a good start)"
            )


def choose_positive(labels: Sequence[str], positive: str | None) -> str:
    """Choose the positive label: the label whose probability the model gives.

    If one label names an absence ("empty", "clear", "no-people", "without_helmet", "0", "n", ...), the other label is
    positive. Otherwise the last label in alphabetical order is positive, as in scikit-learn.

    Args:
        labels: the two label names.
        positive: positive label, or None to choose by the rule above.

    Raises:
        OptionError: `positive` is not a label.

    Example:
        >>> choose_positive(("crossing", "empty"), None), choose_positive(("cats", "dogs"), None)
        ('crossing', 'dogs')
    """
    if positive is not None:
        if positive not in labels:
            raise OptionError(f"the positive label must be one of {labels[0]!r} and {labels[1]!r}, got {positive!r}")
        return positive
    return _named_positive(labels) or max(labels)


def explain_choice(labels: Sequence[str]) -> str | None:
    """Say in one sentence which label is positive, where the names do not say so; None where the names do.

    Args:
        labels: the two label names.
    """
    if _named_positive(labels) is not None:
        return None
    positive, other = max(labels), min(labels)
    return (
        f"The positive label, the one to find, is {positive!r}: the last in alphabetical order. "
        f"To find {other!r}, add --positive {shlex.quote(other)}."
    )


def _named_positive(labels: Sequence[str]) -> str | None:
    """The label beside one that names an absence; None where no name or both names do."""
    candidates = [label for label in labels if not _names_an_absence(label)]
    return candidates[0] if len(candidates) == 1 else None


def _names_an_absence(label: str) -> bool:
    name = label.lower()
    return name in _NEGATIVE_NAMES or re.split(r"[\W_]+", name.strip("_- "))[0] in _NEGATIVE_WORDS
