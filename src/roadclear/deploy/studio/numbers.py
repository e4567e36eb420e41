"""Numbers for the page: plain values, and which photos would help most."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from roadclear.deploy.studio.library import photo_id, shown_name
from roadclear.deploy.studio.ports import Evidence, Gain, Numbers, Task
from roadclear.metrics.intervals import Estimate, share_of, sum_interval
from roadclear.model.decision.promise import Promise
from roadclear.utils.tables import number_or_none
from roadclear.utils.text import printable

FEW = 0.5
"""A label with fewer photos than this share of the other label's is short of photos."""


def values(numbers: Numbers, version: int) -> dict[str, Any]:
    """Convert numbers to plain values.

    Args:
        numbers: numbers of the model.
        version: number of the listing that they belong to.
    """
    negative, positive = numbers.labels
    right = numbers.positive == numbers.predicted
    return {
        "version": version,
        "labels": {"negative": negative, "positive": positive},
        "photos": len(numbers.files),
        "groups": len(np.unique(numbers.groups)),
        "seen": numbers.seen,
        "accuracy": _estimate(numbers.accuracy),
        "unsure": _estimate(numbers.unsure),
        "promise": _promise(numbers.promise),
        "confusion": {
            label: {
                negative: int(np.sum((numbers.positive == is_positive) & ~numbers.predicted)),
                positive: int(np.sum((numbers.positive == is_positive) & numbers.predicted)),
            }
            for label, is_positive in ((negative, False), (positive, True))
        },
        "change": _change(numbers),
        "advice": advise(numbers),
        "skipped": [{"file": printable(photo.file or ""), "reason": photo.reason} for photo in numbers.skipped],
        "seconds": numbers.seconds,
        "answers": {
            photo_id(file): [round(float(p), 3), bool(is_right)]
            for file, p, is_right in zip(numbers.files, numbers.probability, right, strict=True)
        },
    }


def advise(numbers: Numbers) -> dict[str, Any]:
    """Say which label more photos would help most, and by which rule.

    A label whose photos are answered wrongly more often comes first, if the 95% interval of the difference of both
    shares excludes zero (Newcombe 1998, method 10, with groups). Else a label with less than half of the other label's
    photos comes first. Else no label stands out.

    Returns:
        `rule` is "errors", "few" or "none", `label` the label or None, and `labels` has for each label its number of
        photos and its share of wrong answers.
    """
    wrong = numbers.positive != numbers.predicted
    shares = {
        label: share_of(wrong[chosen], numbers.groups[chosen])
        for label, chosen in zip(numbers.labels, (~numbers.positive, numbers.positive), strict=True)
    }
    (one, a), (other, b) = shares.items()
    low, high = sum_interval(a, Estimate(-b.value, (-b.ci95[1], -b.ci95[0]), b.n), 0.0)
    rule, label = "none", None
    if low > 0 or high < 0:
        rule, label = "errors", one if low > 0 else other
    elif min(a.n, b.n) < FEW * max(a.n, b.n):
        rule, label = "few", one if a.n < b.n else other
    return {
        "rule": rule,
        "label": label,
        "labels": {name: {"photos": share.n, "wrong": _estimate(share)} for name, share in shares.items()},
    }


def gain_values(gain: Gain) -> dict[str, Any]:
    """Convert a gain to plain values."""
    low, high = gain.interval
    return {"photos": gain.photos, "value": number_or_none(gain.value), "interval": [*map(number_or_none, (low, high))]}


def task_values(task: Task) -> dict[str, Any]:
    """Convert a task to plain values."""
    return {
        "reason": task.reason,
        "id": photo_id(task.file),
        "name": shown_name(task.file, task.label),
        "label": task.label,
        "suggested": task.suggested,
        "probability": task.probability,
        "beside": [{"id": photo_id(file), "name": printable(file)} for file in task.beside],
        "detail": printable(task.detail),
    }


def evidence_values(evidence: Evidence) -> Mapping[str, Any]:
    """Convert a map to plain values."""
    return {"heatmap": evidence.heatmap.round(4).tolist(), "limit": evidence.limit}


def _promise(promise: Promise | None) -> dict[str, Any] | None:
    if promise is None:
        return None
    return {
        "wanted": promise.max_error,
        "stated": promise.stated,
        "kept": promise.kept,
        "confidence": promise.confidence,
        "wrong": promise.wrong,
        "answered": promise.answered,
        "needed": promise.needed,
    }


def _change(numbers: Numbers) -> dict[str, Any] | None:
    change = numbers.change
    if change is None:
        return None
    difference = change.metrics["accuracy"].difference
    return {
        "accuracy": _estimate(difference),
        "photos": change.n,
        "better": change.only_b,
        "worse": change.only_a,
        "told_apart": change.better is not None,
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    ends: Sequence[float] = estimate.ci95
    return {"value": number_or_none(estimate.value), "interval": [*map(number_or_none, ends)], "n": estimate.n}
