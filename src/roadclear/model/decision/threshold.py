"""The threshold: from which probability on a photo is called positive, for a stated aim.

Heads are trained on label-balanced weights and calibrated, so a probability is that of the positive class where both
are equally common. Two aims follow from that alone: with costs of the two mistakes, the best threshold is
cost_fp / (cost_fp + cost_fn) (Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1), which for equal
costs, the balanced aim, is 1/2. A wished recall or precision has to be looked up on validation photos.
"""

import numpy as np

from roadclear.metrics.curves import threshold_curve
from roadclear.model.settings import ThresholdSettings
from roadclear.utils.arrays import Bools, Probabilities


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
