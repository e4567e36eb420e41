"""What a frame says about whether somebody is on the road: a weight of evidence, in log-odds."""

import math
from dataclasses import dataclass

from roadclear.model.prediction import Prediction

STRONGEST = 4.0
"""Largest log-odds that one frame may give: a model that errs with certainty is outvoted by its neighbours in time."""

UNSURE_WEIGHT, UNFAMILIAR_WEIGHT = 0.5, 0.3


@dataclass(frozen=True)
class Answer:
    """What the model says of a frame.

    Attributes:
        time: seconds since the start of the source.
        probability: of the positive class, 0 to 1.
        unsure: whether the model is unsure.
        unfamiliar: whether the frame is unlike the training photos.
    """

    time: float
    probability: float
    unsure: bool
    unfamiliar: bool


def answer_of(time: float, prediction: Prediction) -> Answer:
    """Take from a prediction what events need."""
    return Answer(time, prediction.probability, prediction.unsure, prediction.unfamiliar)


def log_odds(answer: Answer, threshold: float) -> float:
    """Return a frame's log-odds of the positive class, counted from the model's threshold.

    The model's probability is calibrated for equally frequent classes, so its log-odds are a likelihood ratio.
    """
    return _logit(answer.probability) - _logit(threshold)


def trusted(evidence: float, answer: Answer) -> float:
    """Bound the evidence of a frame. A frame that is unsure, or unlike the training photos, weighs less.

    Args:
        evidence: log-likelihood ratio of the frame.
        answer: what the model says of the frame.
    """
    weight = (UNSURE_WEIGHT if answer.unsure else 1.0) * (UNFAMILIAR_WEIGHT if answer.unfamiliar else 1.0)
    return weight * min(max(evidence, -STRONGEST), STRONGEST)


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))
