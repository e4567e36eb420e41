"""The test photos that the model gets most wrong, each with a heatmap of the decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TEST
from roadclear.errors import PhotoError
from roadclear.images.decode import UnreadablePhoto
from roadclear.images.thumbnails import data_uri, jpeg_bytes, view_photo
from roadclear.model.drawing.overlay import lay_over, scale_ticks
from roadclear.model.prediction import Explanation
from roadclear.model.predictor import Model
from roadclear.training.result import TrainingResult
from roadclear.utils.threads import ordered_map, worker_threads

MOST = 12
"""Maximum number of photos shown."""

_LEAST = 6
_SIDE = 560
_QUALITY = 70


@dataclass(frozen=True)
class Shown:
    """A photo on the page.

    Attributes:
        file: name of the photo, relative to its folder.
        label: label of the photo.
        predicted: label that the model gives.
        probability: probability of the positive class, in [0, 1].
        photo: a data URI, or None where the photo can no longer be read.
        heatmap: the grey photo under its heatmap as a data URI, or None.
        limit: largest value of the colour scale, in log-odds per cell of the heatmap.
    """

    file: str
    label: str
    predicted: str
    probability: float
    photo: str | None
    heatmap: str | None
    limit: float

    @property
    def wrong(self) -> bool:
        """Whether the model gives the other label."""
        return self.predicted != self.label


def hardest(training: TrainingResult) -> list[Shown]:
    """The wrong test photos, the worst first, at most 12. Fewer than 6 are filled up with the closest right ones."""
    facts, data = training.facts, training.data
    positive = np.array([photo.label == facts.positive for photo in data.photos])
    margin = _log_odds(training.probabilities) - _log_odds(np.array(facts.threshold))
    # Log-odds between photo and threshold; above zero where the answer is right.
    ease = np.where(positive, margin, -margin)
    test = np.array(data.splits) == TEST
    wrong = ((training.probabilities >= facts.threshold) != positive) & test
    order = [i for i in np.argsort(ease, kind="stable").tolist() if test[i]]
    worst = [i for i in order if wrong[i]][:MOST]
    close = [i for i in order if not wrong[i]][: max(0, _LEAST - len(worst))]
    model = Model(training.model)
    chosen = [*worst, *close]
    explained = model.explain_many([data.photos[i].path for i in chosen])
    pairs = zip(chosen, explained, strict=True)
    return list(ordered_map(lambda pair: _show(training, *pair), pairs, worker_threads()))


def _show(training: TrainingResult, i: int, explained: Explanation | UnreadablePhoto) -> Shown:
    facts, photo = training.facts, training.data.photos[i]
    probability = float(training.probabilities[i])
    predicted = facts.positive if probability >= facts.threshold else facts.negative
    gone = Shown(photo.file, photo.label, predicted, probability, None, None, 0.0)
    if isinstance(explained, UnreadablePhoto):  # changed or deleted since training
        return gone
    try:
        picture = view_photo(photo.path, _SIDE)
    except PhotoError:
        return gone
    limit = scale_ticks(explained.heatmap)[-1]
    overlay = lay_over(picture, explained.heatmap, limit)
    shown, drawn = (data_uri(jpeg_bytes(each, _QUALITY)) for each in (picture, overlay))
    return Shown(photo.file, photo.label, predicted, probability, shown, drawn, limit)


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    certain = np.finfo(np.float64).eps
    p = np.clip(probability, certain, 1 - certain)
    return np.asarray(np.log(p) - np.log1p(-p))
