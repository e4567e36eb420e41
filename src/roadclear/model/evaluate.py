"""Evaluate a model on labelled photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.data.groups import scene_groups
from roadclear.errors import DatasetError
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.classification import Evaluation, evaluate
from roadclear.metrics.intervals import Estimate, share_of
from roadclear.model.prediction import Prediction
from roadclear.model.predictor import Model
from roadclear.utils.arrays import Indices
from roadclear.utils.progress import ProgressCallback, no_progress


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Predictions of labelled photos, and how good the predictions are.

    Attributes:
        model: the evaluated model.
        evaluation: metrics with 95% intervals, and the confusion matrix at the model's threshold.
        unsure: share of photos with the answer "unsure".
        wrong: share of wrong answers among the photos that are answered; nan where no photo is answered.
        photos: [n] photos that could be read, in the order of the dataset.
        predictions: [n] predictions of these photos.
        skipped: photos that could not be read, with reasons.
        seen: relative paths of photos that the model was trained on; None where this is unknown.
        seen_by_chance: largest number of photos in `seen` that may be there by chance, with 99% probability. See
            `roadclear.model.content_filter`.
        counted: what the intervals count as one, in a sentence: groups of the training, scenes, or photos.
    """

    model: Model
    evaluation: Evaluation
    unsure: Estimate
    wrong: Estimate
    photos: tuple[LabelledPhoto, ...]
    predictions: tuple[Prediction, ...]
    skipped: tuple[UnreadablePhoto, ...]
    seen: frozenset[str] | None = None
    seen_by_chance: int = 0
    counted: str = ""

    @property
    def metrics(self) -> Mapping[str, Estimate]:
        """Metrics with 95% intervals, by name: accuracy, precision, recall and others."""
        return self.evaluation.metrics

    @property
    def labelled(self) -> list[tuple[Prediction, str]]:
        """[n] predictions with the true labels."""
        return [(said, photo.label) for said, photo in zip(self.predictions, self.photos, strict=True)]

    @property
    def warning(self) -> str | None:
        """A sentence for a model that was trained on some of the photos; None where no such photo is known.

        As many photos as the model may recognise by chance are no reason to warn; see `note`.
        """
        if not self.seen or len(self.seen) <= self.seen_by_chance:
            return None
        chance = f" At most {self.seen_by_chance:,} of them may be a chance match." if self.seen_by_chance else ""
        return (
            f"the model has seen {len(self.seen):,} of the {self._given:,} photos in training: the numbers flatter it."
            + chance
        )

    @property
    def note(self) -> str | None:
        """A sentence for photos that the model may have seen; None where the photos are new or there is a warning."""
        if self.seen is None:
            return (
                "it cannot be told whether the model has seen these photos in training: the model file does not say. "
                "Seen photos would flatter the numbers."
            )
        if not self.seen or self.warning is not None:
            return None
        return (
            f"{len(self.seen):,} of the {self._given:,} photos may have been seen in training; up to "
            f"{self.seen_by_chance:,} may be a chance match."
        )

    @property
    def _given(self) -> int:
        return len(self.photos) + len(self.skipped)


def evaluate_model(
    model: Model,
    dataset: Dataset,
    progress: ProgressCallback = no_progress,
    groups: Mapping[str, int] | None = None,
) -> EvaluationResult:
    """Predict every photo of a dataset, and compare the predictions with the labels.

    The intervals count photos of one group together. Without groups, photos of one scene of manifest.csv are a group.
    Look-alikes are not searched for.

    Args:
        model: model to evaluate.
        dataset: photos with the labels of the model.
        progress: called after every photo.
        groups: number of the group of each photo by its relative path, such as the groups of a split. None, or a photo
            without a group, means groups by scene.

    Raises:
        DatasetError: the dataset has other labels than the model, or no photo can be read.
    """
    facts = model.facts
    if set(dataset.labels) != {facts.positive, facts.negative}:
        raise DatasetError(
            f"expected photos labelled {facts.positive!r} and {facts.negative!r}, found "
            f"{' and '.join(map(repr, dataset.labels))}: give photos with the labels of the model"
        )
    photos: list[LabelledPhoto] = []
    predictions: list[Prediction] = []
    skipped = list(dataset.skipped)
    results = model.predict_many([photo.path for photo in dataset.photos])
    for done, (photo, result) in enumerate(zip(dataset.photos, results, strict=True), start=1):
        if isinstance(result, UnreadablePhoto):
            skipped.append(result)
        else:
            photos.append(photo)
            predictions.append(result)
        progress("Predicting", done, len(dataset.photos))
    positive = np.array([photo.label == facts.positive for photo in photos], dtype=bool)
    probabilities = np.array([prediction.probability for prediction in predictions], dtype=np.float64)
    group, counted = _groups_of(photos, groups)
    evaluation = evaluate(positive, probabilities, facts.threshold, group)
    unsure = np.array([prediction.unsure for prediction in predictions], dtype=bool)
    wrong = (probabilities >= facts.threshold) != positive
    return EvaluationResult(
        model,
        evaluation,
        share_of(unsure, group),
        share_of(wrong[~unsure], None if group is None else group[~unsure]),
        tuple(photos),
        tuple(predictions),
        tuple(skipped),
        counted=counted,
    )


def _groups_of(photos: Sequence[LabelledPhoto], groups: Mapping[str, int] | None) -> tuple[Indices | None, str]:
    """The group of each photo, and a sentence about what the intervals count as one."""
    if groups is not None and all(photo.file in groups for photo in photos):
        found: Indices | None = np.array([groups[photo.file] for photo in photos], dtype=np.intp)
        kind = "groups of one scene, name or look, as the split has them"
    else:
        found, kind = scene_groups(photos), "scenes; look-alikes are not searched for"
    if found is None:
        return None, (
            "The intervals count every photo by itself, because no manifest.csv names scenes. Photos of one scene "
            "would make them wider."
        )
    return found, f"The intervals count {len(np.unique(found)):,} {kind}."
