"""The threshold: from which probability on a photo is called positive, for a stated aim.

Heads are trained on label-balanced weights and calibrated, so a probability is that of the positive class where both
are equally common. Two aims follow from that alone: with costs of the two mistakes, the best threshold is
cost_fp / (cost_fp + cost_fn) (Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1), which for equal
costs, the balanced aim, is 1/2. A wished recall or precision has to be looked up on validation photos.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from roadclear.errors import OptionError
from roadclear.metrics.curves import threshold_curve
from roadclear.utils.arrays import Bools, Probabilities
from roadclear.utils.settings import Setting, Settings


@dataclass(kw_only=True)
class ThresholdSettings(Settings):
    """What the threshold is for: a minimum recall, a minimum precision, or costs (equal ones by default).

    Raises:
        OptionError: a value is out of its range, or there is more than one aim.
    """

    panel: ClassVar[str] = "Decision"

    min_recall: Annotated[
        float | None, Setting("Choose the threshold for at least this recall on validation photos.", gt=0, le=1)
    ] = None
    min_precision: Annotated[
        float | None, Setting("Choose the threshold for at least this precision on validation photos.", gt=0, le=1)
    ] = None
    cost_fn: Annotated[float, Setting("Cost of missing a photo of the positive class.", gt=0)] = 1.0
    cost_fp: Annotated[float, Setting("Cost of a false alarm.", gt=0)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        aims = self.min_recall is not None, self.min_precision is not None, self.cost_fn != self.cost_fp
        if sum(aims) > 1:
            raise OptionError("expected one aim for the threshold, found several: give a recall, a precision, or costs")

    @property
    def aim(self) -> str:
        """The aim in words."""
        if self.min_recall is not None:
            return f"recall of at least {self.min_recall:g}"
        if self.min_precision is not None:
            return f"precision of at least {self.min_precision:g}"
        if self.cost_fn != self.cost_fp:
            return f"a miss costs {self.cost_fn:g}, a false alarm {self.cost_fp:g}"
        return "balanced"


def choose_threshold(positive: Bools, probability: Probabilities, aim: ThresholdSettings) -> float:
    """The threshold that serves an aim best.

    Among equally good ones the middle of the widest gap is taken, which leaves most room for new photos on either
    side. Where no threshold has the wished precision, the one that comes nearest is taken.

    Args:
        positive: [n], whether the (validation) photo is of the positive class.
        probability: [n], of the positive class, in [0, 1].
        aim: what it is for.

    Returns:
        A probability in (0, 1).
    """
    if aim.min_recall is None and aim.min_precision is None:
        return aim.cost_fp / (aim.cost_fp + aim.cost_fn)
    options = threshold_curve(positive, probability)
    if aim.min_recall is not None:
        score = np.where(options.recall >= aim.min_recall, options.specificity, -1.0)
    else:
        reached = options.precision * (options.recall > 0)
        wished = min(aim.min_precision or 0.0, float(reached.max()))
        score = np.where(reached >= wished, options.recall, -1.0)
    best = score >= score.max() - 1e-12
    return float(options.thresholds[best][np.argmax(options.gaps[best])])
