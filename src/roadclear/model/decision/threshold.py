"""Threshold: the least probability of a positive prediction, chosen for an aim.

Heads are trained with label-balanced weights and calibrated, so probabilities hold for equally common labels. With
costs of the two mistakes the best threshold is then cost_fp / (cost_fp + cost_fn) (Elkan 2001, "The Foundations of
Cost-Sensitive Learning", section 1). Equal costs, the balanced aim, give 1/2. A minimum recall or precision is looked
up on validation photos.
"""

import numpy as np

from roadclear.metrics.curves import threshold_curve
from roadclear.model.settings import ThresholdSettings
from roadclear.utils.arrays import Bools, Probabilities


def choose_threshold(positive: Bools, probability: Probabilities, settings: ThresholdSettings) -> float:
    """Choose the best threshold for an aim.

    A minimum recall gives the highest specificity with that recall, and a minimum precision the highest recall with
    that precision. Where no threshold reaches the precision, the highest precision is the minimum.

    Ties go to the middle of the widest gap between probabilities, which leaves most room for new photos.

    Args:
        positive: bool [n], whether each validation photo is of the positive class.
        probability: float [n] in [0, 1], probability of the positive class.
        settings: aim of the threshold.

    Returns:
        A probability in (0, 1).
    """
    if settings.min_recall is None and settings.min_precision is None:
        return settings.cost_fp / (settings.cost_fp + settings.cost_fn)
    curve = threshold_curve(positive, probability)
    if settings.min_recall is not None:
        score = np.where(curve.recall >= settings.min_recall, curve.specificity, -1.0)
    else:
        precision = curve.precision * (curve.recall > 0)
        minimum = min(settings.min_precision or 0.0, float(precision.max()))
        score = np.where(precision >= minimum, curve.recall, -1.0)
    best = score >= score.max() - 1e-12
    return float(curve.thresholds[best][np.argmax(curve.gaps[best])])
