"""The test photos that the model gets most wrong, with where it looked."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from roadclear.data.split import TEST
from roadclear.errors import PhotoError
from roadclear.images.viewing import view_photo
from roadclear.model.drawing.overlay import lay_over, scale_ticks
from roadclear.model.predictor import Model
from roadclear.training.result import TrainingResult

MOST = 12
"""So many photos are shown."""

_LEAST = 6
_SIDE = 400
_QUALITY = 72


@dataclass(frozen=True)
class Shown:
    """A photo on the page.

    Attributes:
        file: its name.
        label: that it has.
        predicted: the label that the model gives.
        probability: of the positive class.
        photo: a data URI, or None where it cannot be read any more.
        heatmap: the photo in grey under the map of evidence, a data URI, or None.
        limit: of the map's colours, in logits a place.
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
        """Whether the model gives another label."""
        return self.predicted != self.label


def hardest(training: TrainingResult) -> list[Shown]:
    """The wrong test photos, the worst first, at most 12; where they are few, also the closest right ones, up to 6."""
    facts, placement = training.facts, training.data
    positive = np.array([photo.label == facts.positive for photo in placement.photos])
    margin = _log_odds(training.probabilities) - _log_odds(np.array(facts.threshold))
    # Above zero: how far on the right side of the threshold.
    ease = np.where(positive, margin, -margin)
    test = np.array(placement.splits) == TEST
    wrong = ((training.probabilities >= facts.threshold) != positive) & test
    order = [i for i in np.argsort(ease, kind="stable").tolist() if test[i]]
    worst = [i for i in order if wrong[i]][:MOST]
    close = [i for i in order if not wrong[i]][: max(0, _LEAST - len(worst))]
    model = Model(training.model)
    return [_explain(model, training, i) for i in [*worst, *close]]


def _explain(model: Model, training: TrainingResult, i: int) -> Shown:
    facts, photo = training.facts, training.data.photos[i]
    probability = float(training.probabilities[i])
    predicted = facts.positive if probability >= facts.threshold else facts.negative
    try:
        picture = view_photo(photo.path, _SIDE)
        heatmap = model.explain(photo.path).heatmap
    except PhotoError:  # it was changed since it was read
        return Shown(photo.file, photo.label, predicted, probability, None, None, 0.0)
    limit = scale_ticks(heatmap)[-1]
    overlay = lay_over(picture, heatmap, limit)
    return Shown(photo.file, photo.label, predicted, probability, _data_uri(picture), _data_uri(overlay), limit)


def _data_uri(picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"


def _log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    certain = np.finfo(np.float64).eps
    p = np.clip(probability, certain, 1 - certain)
    return np.asarray(np.log(p) - np.log1p(-p))
