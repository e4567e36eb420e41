"""Which label is the positive class, and whether there are enough photos of each."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from roadclear.errors import DatasetError, OptionError

MINIMUM_PER_LABEL = 10

# Words that name the absence of something. A label made of or starting with one is the negative class.
_NEGATIVE_WORDS = {"absent", "background", "clear", "empty", "false", "neg", "negative", "no", "non", "none"}
_NEGATIVE_WORDS |= {"normal", "not", "nothing", "other", "others", "without"}


def check_enough(labels: Iterable[str], both: Sequence[str]) -> None:
    """Refuse to go on with fewer than 10 photos of a label.

    Args:
        labels: the labels of the photos that can be read.
        both: the two label names.

    Raises:
        DatasetError: there are too few.
    """
    counts = Counter(labels)
    for label in both:
        if counts[label] < MINIMUM_PER_LABEL:
            raise DatasetError(
                f"expected at least {MINIMUM_PER_LABEL} readable photos of each label, found {counts[label]} of "
                f"{label!r}: add photos (a hundred of each is a good start)"
            )


def choose_positive(labels: Sequence[str], positive: str | None) -> str:
    """The label whose probability the model gives.

    Args:
        labels: the two label names.
        positive: the wished one, or None: then it is the other one of a label that names an absence ("empty",
            "clear", "no-people", "without_helmet", ...).

    Raises:
        OptionError: the wished one is not a label, or none was wished and the names do not tell.
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
