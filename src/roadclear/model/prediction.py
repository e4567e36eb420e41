"""What a model says of one photo."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSURE = "unsure"


@dataclass(frozen=True)
class Prediction:
    """What a model says of one photo.

    Attributes:
        file: path of the photo as it was given; None for a photo that was not given as a path.
        label: the positive label where the probability reaches the threshold, else the negative one.
        probability: of the positive class, 0 to 1.
        unsure: whether it is too close to call, see `roadclear.model.decision.conformal`.
        distance: to the training photos, 0 to 2, see `roadclear.model.decision.ood`.
        unfamiliar: whether it is so far from them that the label means little.
    """

    file: Path | None
    label: str
    probability: float
    unsure: bool
    distance: float
    unfamiliar: bool

    @property
    def answer(self) -> str:
        """The label, or "unsure"."""
        return UNSURE if self.unsure else self.label


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a prediction comes from: logit = heatmap.sum() + offset, to float error.

    Attributes:
        prediction: what is explained.
        logit: log-odds of the positive class.
        heatmap: float32 [S/32, S/32]; what each place of the photo adds to the logit, row 0 at the top.
        offset: what no place adds.
    """

    prediction: Prediction
    logit: float
    heatmap: NDArray[np.float32]
    offset: float
