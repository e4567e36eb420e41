"""Answer to one photo, without HTTP: bytes or pixels in, a prediction out, and its plain values.

Photos of strangers are decoded in a process of their own, with the limits of `roadclear.images`. The pixels are those
of `roadclear predict`, so the answers are the same to the last digit.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from roadclear.images.isolated import decode_isolated
from roadclear.model.metadata import ModelFacts
from roadclear.model.prediction import Explanation, Prediction
from roadclear.model.predictor import Model

SentPhoto: TypeAlias = bytes | NDArray[np.uint8]
"""A photo as it was sent: the content of a file, or uint8 RGB pixels [S, S, 3] of the model's size."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Answer to a photo.

    Attributes:
        prediction: what `roadclear predict` says of the photo.
        explanation: what every place of the photo adds; None where nobody asked.
    """

    prediction: Prediction
    explanation: Explanation | None = None


class Answerer:
    """A model that answers photos of strangers. Thread-safe.

    Args:
        model: model that predicts.

    Attributes:
        model: model that predicts.
        sha256: SHA-256 of the model file, in hex.

    Example:
        >>> answerer = Answerer(roadclear.load())  # doctest: +SKIP
        >>> answer = answerer.answer(Path("photo.jpg").read_bytes())  # doctest: +SKIP
        >>> answer_values(answer, answerer.model.facts)["answer"]  # doctest: +SKIP
        'crossing'
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.sha256 = hashlib.sha256(model.data).hexdigest()

    @property
    def facts(self) -> ModelFacts:
        """Facts of the model."""
        return self.model.facts

    def answer(self, photo: SentPhoto, explain: bool = False) -> Answer:
        """Answer a photo.

        Args:
            photo: content of a file, or uint8 RGB pixels [S, S, 3] of the model's size S.
            explain: whether the places of the photo are explained. That takes a second run of the model, because the
                probability must be that of `predict` to the last digit.

        Raises:
            PhotoError: the photo cannot be used.
            ModelFileError, EngineError: the model gives no number, or cannot be run.
        """
        pixels = decode_isolated(photo, self.facts.size) if isinstance(photo, bytes) else photo
        return Answer(self.model.predict(pixels), self.model.explain(pixels) if explain else None)

    def warm_up(self) -> None:
        """Make the engines ready by a grey photo, so that the first request does not wait.

        Raises:
            ModelFileError, EngineError: the model gives no number, or cannot be run.
        """
        self.answer(np.full((self.facts.size, self.facts.size, 3), 128, np.uint8), explain=True)


def answer_values(answer: Answer, facts: ModelFacts) -> dict[str, Any]:
    """Write an answer as plain values for JSON.

    Args:
        answer: answer to a photo.
        facts: facts of the model that answered.
    """
    prediction, explanation = answer.prediction, answer.explanation
    values: dict[str, Any] = {
        "answer": prediction.answer,
        "label": prediction.label,
        "probability": prediction.probability,
        "unsure": prediction.unsure,
        "unfamiliar": prediction.unfamiliar,
        "distance": prediction.distance,
    }
    if explanation is not None:
        values["map"] = {
            "values": explanation.heatmap.tolist(),
            "offset": explanation.offset,
            "logit": explanation.logit,
        }
    return values


def model_values(answerer: Answerer) -> dict[str, Any]:
    """Write what a client must know of the model that answered, as plain values for JSON."""
    facts = answerer.facts
    return {
        "positive": facts.positive,
        "negative": facts.negative,
        "threshold": facts.threshold,
        "size": facts.size,
        "sha256": answerer.sha256,
    }
