"""Temperature scaling: one divisor of the logits that calibrates probabilities.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. The division moves no probability
across 0.5, and is folded into the head's weights.
"""

import numpy as np
from numpy.typing import NDArray

from roadclear.model.heads import balanced_weights, log_loss
from roadclear.utils.arrays import Targets

# Standard deviation of the prior on log(temperature). Without a prior, a few hundred photos without a mistake would
# give infinite certainty. docs/adr/0012-temperature-with-a-prior.md has the measurements.
_LOG_SPREAD = 0.2
_LARGEST_LOG = 3.0


def fit_temperature(logits: NDArray[np.float32], targets: Targets) -> float:
    """Fit the temperature: the divisor of the logits, above 0.

    The temperature minimises the label-balanced cross-entropy plus a penalty: a normal prior on log(temperature) with
    mean 0. So few photos change the temperature little, and many photos decide it.

    Args:
        logits: float32 [n], logits of photos outside the training photos.
        targets: int64 [n], 1 for the positive class, else 0.
    """
    from scipy.optimize import minimize_scalar

    weights = balanced_weights(targets)

    def cost(log_temperature: float) -> float:
        scaled = logits / np.float32(np.exp(log_temperature))
        return len(targets) * log_loss(scaled, targets, weights) + (log_temperature / _LOG_SPREAD) ** 2 / 2

    bounds = (-_LARGEST_LOG, _LARGEST_LOG)
    found = minimize_scalar(cost, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
