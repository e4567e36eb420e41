"""Temperature scaling: one number that makes probabilities honest."""

import numpy as np
from numpy.typing import NDArray

from roadclear.model.heads import balanced_weights, log_loss
from roadclear.utils.arrays import Targets

# Spread of the prior on log(temperature). A few hundred photos that a head tells apart without a mistake would ask for
# infinite certainty; this asks them for evidence. docs/decisions.md has the measurements.
_LOG_SPREAD = 0.2


_LARGEST_LOG = 3.0


def fit_temperature(logits: NDArray[np.float32], targets: Targets) -> float:
    """The temperature, above 0, that logits should be divided by.

    It minimises the label-balanced cross-entropy plus a penalty: log(temperature) is normal around 0 beforehand, so
    that few photos change little and many decide.

    Args:
        logits: [n], of photos that the head was not trained on.
        targets: [n], 1 for the positive class, else 0.
    """
    from scipy.optimize import minimize_scalar

    weights = balanced_weights(targets)

    def cost(log_temperature: float) -> float:
        scaled = logits / np.float32(np.exp(log_temperature))
        return len(targets) * log_loss(scaled, targets, weights) + (log_temperature / _LOG_SPREAD) ** 2 / 2

    bounds = (-_LARGEST_LOG, _LARGEST_LOG)
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
