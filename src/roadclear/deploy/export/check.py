"""Check of an export: the exported model and the original answer the same labelled photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadclear.data.dataset import LabelledPhoto
from roadclear.deploy.export.runners import Answer, Runner
from roadclear.errors import DatasetError, PhotoError
from roadclear.images.decode import UnreadablePhoto, skipped_values
from roadclear.metrics.comparison import Answers, Comparison, compare_answers
from roadclear.metrics.intervals import Estimate, estimate_values, number_groups, share_of
from roadclear.model.metadata import ModelFacts
from roadclear.utils.arrays import Bools, Indices
from roadclear.utils.progress import ProgressCallback
from roadclear.utils.tables import number_or_none

LARGEST_RESIDUAL = 0.01
"""Largest difference of a logit and the sum of its map, in logits."""

LARGEST_CHANGE = 0.05
"""Largest change of a logit by an export whose weights are the original's."""


@dataclass(frozen=True)
class CheckPhotos:
    """Photos that an export is checked on.

    Attributes:
        photos: labelled photos, none of which set the weights of the model.
        groups: number of the group of each photo; None where every photo counts by itself.
        source: what the photos are, in words.
    """

    photos: Sequence[LabelledPhoto]
    groups: Sequence[int] | None
    source: str


@dataclass(frozen=True)
class Row:
    """One line of the table: a model on the checked photos.

    Attributes:
        format: "model.onnx", or the format of the export.
        accuracy: share of correct labels, with its 95% interval.
        flips: number of photos whose label differs from the original's.
        mean_change: mean of |logit - logit of the original|.
        largest_change: largest |logit - logit of the original|.
        residual: largest |logit - (heatmap.sum() + offset)|.
        milliseconds: median time a photo, on one thread of this machine, without reading the photo.
        megabytes: size of all files that are needed to predict.
    """

    format: str
    accuracy: Estimate
    flips: int
    mean_change: float
    largest_change: float
    residual: float
    milliseconds: float
    megabytes: float


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        original: line of model.onnx.
        exported: line of the export.
        comparison: paired comparison of the labels; A is the original, B the export.
        source: what the photos are, in words.
        skipped: photos that could not be read.
        changed: number of photos whose answer changes to or from "unsure" or "unfamiliar".
    """

    original: Row
    exported: Row
    comparison: Comparison
    source: str
    skipped: tuple[UnreadablePhoto, ...]
    changed: int

    @property
    def drop(self) -> tuple[float, float, float]:
        """Drop of the accuracy by the export, with the ends of its 95% interval, in points."""
        difference = self.comparison.metrics["accuracy"].difference
        low, high = difference.ci95
        return 0.0 - 100 * difference.value, 0.0 - 100 * high, 0.0 - 100 * low


def check_export(
    facts: ModelFacts,
    original: tuple[Runner, float],
    exported: tuple[str, Runner, float],
    on: CheckPhotos,
    progress: ProgressCallback,
) -> Check:
    """Predict every photo by both models, one after the other, and compare the answers.

    Args:
        facts: facts about the model.
        original: the original model, and the size of its file in megabytes.
        exported: format, exported model, and the size of its files in megabytes.
        on: photos to check on.
        progress: called after every photo.

    Raises:
        DatasetError: no photo can be read.
        EngineError: a model cannot be run.
    """
    pairs: list[tuple[Answer, Answer]] = []
    kept: list[int] = []
    skipped: list[UnreadablePhoto] = []
    for k, photo in enumerate(on.photos):
        try:
            pairs.append((original[0].answer(photo.path), exported[1].answer(photo.path)))
            kept.append(k)
        except PhotoError as error:
            skipped.append(UnreadablePhoto(photo.path, error.reason))
        progress("Checking", k + 1, len(on.photos))
    if not kept:
        raise DatasetError("expected photos to check the export on, found none that can be read: give others")
    positive = np.array([on.photos[k].label == facts.positive for k in kept], dtype=bool)
    group = None if on.groups is None else number_groups(np.array([on.groups[k] for k in kept]), len(kept))
    a, b = [first for first, _ in pairs], [second for _, second in pairs]
    said_a, said_b = _labels(a, facts), _labels(b, facts)
    return Check(
        original=_row("model.onnx", a, a, (positive, facts.threshold, group), original[1]),
        exported=_row(exported[0], b, a, (positive, facts.threshold, group), exported[2]),
        comparison=compare_answers(positive, said_a, said_b, group),
        source=on.source,
        skipped=tuple(skipped),
        changed=sum((x.unsure, x.unfamiliar) != (y.unsure, y.unfamiliar) for x, y in pairs),
    )


def refusal(check: Check, max_drop: float, exact: bool) -> str | None:
    """Say why an export must not be written; None for an export that answers like the original.

    Args:
        check: result of the check.
        max_drop: largest drop of the accuracy, in points.
        exact: whether the export has the original's weights, so that its logits may not change.
    """
    row, (drop, low, high) = check.exported, check.drop
    if not np.isfinite([row.mean_change, row.largest_change, row.residual]).all():
        return "expected numbers from the exported model, found NaN or infinity"
    if low > max_drop:
        return (
            f"expected a drop of the accuracy of at most {max_drop:g} points, found {drop:.1f} (95% interval "
            f"{low:.1f} to {high:.1f}, {check.comparison.n:,} photos): choose another format, or raise --max-drop"
        )
    if row.residual > LARGEST_RESIDUAL:
        return f"expected a map that adds up to the logit within {LARGEST_RESIDUAL:g}, found {row.residual:.3g}"
    if exact and row.largest_change > LARGEST_CHANGE:
        return (
            f"expected logits within {LARGEST_CHANGE:g} of the original's, found a change of {row.largest_change:.3g}"
        )
    return None


def check_values(check: Check, refused: str | None) -> dict[str, Any]:
    """Convert a check to the plain values of export.json."""
    drop, low, high = check.drop
    return {
        "photos": check.comparison.n,
        "groups": check.comparison.groups,
        "checked_on": check.source,
        "formats": [_row_values(check.original), _row_values(check.exported)],
        "drop_points": {"value": number_or_none(drop), "ci95": [number_or_none(low), number_or_none(high)]},
        "only_original_correct": check.comparison.only_a,
        "only_export_correct": check.comparison.only_b,
        "unsure_or_unfamiliar_changed": check.changed,
        "refused": refused,
        "skipped": skipped_values(check.skipped),
    }


def _labels(answers: Sequence[Answer], facts: ModelFacts) -> Answers:
    """Take labels. NaN counts as a probability of 0, and `refusal` sees the NaN in the logits."""
    probability = np.nan_to_num(np.array([answer.probability for answer in answers], dtype=np.float64))
    return Answers(probability, probability >= facts.threshold)


def _row(
    name: str,
    answers: Sequence[Answer],
    original: Sequence[Answer],
    truth: tuple[Bools, float, Indices | None],
    megabytes: float,
) -> Row:
    positive, threshold, group = truth
    said = np.array([answer.probability >= threshold for answer in answers])
    before = np.array([answer.probability >= threshold for answer in original])
    changes = np.abs([one.logit - other.logit for one, other in zip(answers, original, strict=True)])
    return Row(
        format=name,
        accuracy=share_of(said == positive, group),
        flips=int(np.sum(said != before)),
        mean_change=float(np.mean(changes)),
        largest_change=float(np.max(changes)),
        residual=float(np.max([answer.residual for answer in answers])),
        milliseconds=1000 * float(np.median([answer.seconds for answer in answers])),
        megabytes=megabytes,
    )


def _row_values(row: Row) -> dict[str, Any]:
    return {
        "format": row.format,
        "accuracy": estimate_values(row.accuracy),
        "flips": row.flips,
        "mean_logit_change": number_or_none(row.mean_change),
        "largest_logit_change": number_or_none(row.largest_change),
        "map_residual": number_or_none(row.residual),
        "ms_a_photo": row.milliseconds,
        "megabytes": row.megabytes,
    }
