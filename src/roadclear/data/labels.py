"""Labels: choice of the positive class, and the minimum number of photos per label."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from roadclear.errors import DatasetError, OptionError

MINIMUM_PER_LABEL = 10

# Words that name the absence of something. A label made of or starting with one is the negative class.
_NEGATIVE_WORDS = {"absent", "background", "clear", "empty", "false", "neg", "negative", "no", "non", "none"}
_NEGATIVE_WORDS |= {"normal", "not", "nothing", "other", "others", "without"}


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

    Args:
        labels: the two label names.
        positive: positive label, or None to choose by name. A label that names an absence ("empty", "clear",
            "no-people", "without_helmet", ...) is negative, so the other label is positive.

    Raises:
        OptionError: `positive` is not a label, or the names do not decide.
    """
    if positive is not None:
        if positive not in labels:
            raise OptionError(f"the positive label must be one of {labels[0]!r} and {labels[1]!r}, got {positive!r}")
        return positive
    candidates = [label for label in labels if not _names_an_absence(label)]
    if len(candidates) != 1:
        raise OptionError(
            f"which of {labels[0]!r} and {labels[1]!r} is the positive label, the one to find? "
            f"Say so with --positive (in Python: positive=), for example --positive {labels[0]}"
        )
    return candidates[0]


def _names_an_absence(label: str) -> bool:
    return re.split(r"[\W_]+", label.lower().strip("_- "))[0] in _NEGATIVE_WORDS
