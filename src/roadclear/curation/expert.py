"""What an earlier model says of labelled photos that it was not trained on.

A fine-tuned model has learnt the labels of its training photos, and so confirms wrong ones, even by heads on its
backbone that never saw them. Of other photos it is often the better judge, though not on photos of another kind than
its own. So its log-odds and those of heads on the frozen base are averaged there. docs/triage.md has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from roadclear.curation.evidence import map_photos
from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.errors import OptionError
from roadclear.features.cache import FeatureCache
from roadclear.model.heads import sigmoid
from roadclear.training.base import Base, open_base
from roadclear.training.config import PrepareSettings, TrainSettings
from roadclear.training.cross_validation import CrossValidation
from roadclear.training.prepare import PreparedData, read_photos
from roadclear.training.start import Start, open_start
from roadclear.utils.arrays import Bools, Floats
from roadclear.utils.progress import ProgressCallback


@dataclass(frozen=True, eq=False)
class Answered:
    """Predictions of labelled photos, each by what was not trained on the photo.

    Attributes:
        probability: float64 [n], probability of the positive label.
        threshold: float64 [n], least probability of a positive prediction.
        by_model: bool [n], photos that the earlier model had a say about.
    """

    probability: Floats
    threshold: Floats
    by_model: Bools

    @classmethod
    def of(cls, crossed: CrossValidation) -> "Answered":
        """Take the predictions of a cross-validation alone."""
        return cls(crossed.probability, crossed.threshold, np.zeros(crossed.n, np.bool_))


@dataclass(frozen=True, eq=False)
class Expert:
    """An earlier model that predicts photos.

    Attributes:
        base: extractor of the model's embeddings, and the model as a start.
        start: the model.
    """

    base: Base
    start: Start

    def answer(self, data: PreparedData, crossed: CrossValidation, progress: ProgressCallback) -> Answered:
        """Add the model's word to a cross-validation, for photos of groups that the model has not seen.

        Args:
            data: prepared photos.
            crossed: cross-validation of heads on the frozen base.
            progress: callback for progress.

        Raises:
            DatasetError, EngineError, OutputError: see `roadclear.errors`.
        """
        seen = self.base.has_seen(data.hashes)
        unseen = np.flatnonzero(~np.isin(data.groups, data.groups[seen]))
        photos = tuple(data.photos[i] for i in unseen.tolist())
        read = read_photos(Dataset(data.photos[0].path.parent, photos, ("", "")), self.base, progress)
        said = dict(zip((photo.file for photo in read.photos), self.start.head.logits(read.embeddings), strict=True))
        by_model = np.array([photo.file in said for photo in data.photos], dtype=np.bool_)
        logits = np.array([said.get(photo.file, 0.0) for photo in data.photos], dtype=np.float64)
        limit = log_odds(np.full(len(logits), self.start.facts.threshold))
        probability = np.where(by_model, sigmoid((log_odds(crossed.probability) + logits) / 2), crossed.probability)
        threshold = np.where(by_model, sigmoid((log_odds(crossed.threshold) + limit) / 2), crossed.threshold)
        return Answered(probability, threshold, by_model)

    def maps(self, photos: Sequence[LabelledPhoto], progress: ProgressCallback) -> dict[str, NDArray[np.float32]]:
        """Map the model's evidence in photos; see `roadclear.curation.evidence.map_photos`."""
        return map_photos(photos, self.start.head, self.base.extractor.space, progress)


def open_plain_base(settings: TrainSettings, cache: FeatureCache) -> Base:
    """Open the base network of settings for plain photos, without the inner layers that fine-tuning reads.

    Raises:
        OptionError, ModelFileError, WeightsError: see `roadclear.training.base.open_base`.
    """
    values = {field.name: getattr(settings, field.name) for field in fields(PrepareSettings)}
    return open_base(replace(PrepareSettings(**values), views=0), cache)


def open_expert(labels: tuple[str, str], settings: TrainSettings, cache: FeatureCache) -> Expert | None:
    """Open the earlier model that the settings name as `weights`; None for published weights.

    Raises:
        OptionError: the model has other labels, another positive label, or does not say which photos it was trained on.
        ModelFileError, WeightsError: see `roadclear.errors`.
    """
    if open_start(settings) is None:
        return None
    base = open_plain_base(settings, cache)
    if base.start is None:  # the same question, with the same answer
        return None
    facts = base.start.facts
    if {facts.positive, facts.negative} != set(labels):
        raise OptionError(
            f"expected a model of {' and '.join(map(repr, labels))}, found one of {facts.negative!r} and "
            f"{facts.positive!r}: name another model"
        )
    check_positive(settings.positive, base.start)
    if facts.trained_on is None:
        raise OptionError(
            f"expected a model that says which photos it was trained on, found an older one, {base.start.name!r}: "
            "train it again, because a model confirms the labels that it has learnt"
        )
    return Expert(base, base.start)


def check_positive(positive: str | None, start: Start) -> None:
    """Refuse a positive label that is not that of the model.

    Raises:
        OptionError: see above.
    """
    if positive not in (None, start.facts.positive):
        raise OptionError(
            f"positive must be that of the model, {start.facts.positive!r}, got {positive!r}: leave it out"
        )


def log_odds(probability: Floats) -> Floats:
    """Compute log-odds of probabilities, float64 of any shape. 0 and 1 give large finite numbers."""
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(probability, tiny)) - np.log(np.maximum(1 - probability, tiny)))
