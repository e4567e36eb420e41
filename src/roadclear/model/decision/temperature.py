"""Temperature scaling: one divisor of the logits that calibrates probabilities.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. The division moves no probability
across 0.5, and is folded into the head's weights.
"""

import numpy as np
from numpy.typing import NDArray

from roadclear.model.heads import balanced_weights
from roadclear.utils.arrays import Floats, Targets

# Standard deviation of the prior on log(temperature). Without a prior, a few hundred photos without a mistake would
# give infinite certainty. docs/adr/0012-temperature-with-a-prior.md has the measurements.
_LOG_SPREAD = 0.2
_LARGEST_LOG = 3.0
_GRID = 25
_HALVINGS = 32
_LARGEST_EXPONENT = 500.0


def fit_temperature(logits: NDArray[np.float32], targets: Targets) -> float:
    """Fit the temperature: the divisor of the logits, above 0.

    The temperature minimises the label-balanced cross-entropy plus a penalty: a normal prior on log(temperature) with
    mean 0. So few photos change the temperature little, and many photos decide it.

    Args:
        logits: float32 [n], logits of photos outside the training photos.
        targets: int64 [n], 1 for the positive class, else 0.
    """
    weights = balanced_weights(targets)
    signed = np.where(targets == 1, -logits, logits).astype(np.float64)

    def cost(log_temperature: float) -> float:
        losses = np.logaddexp(0, signed * np.exp(-log_temperature))
        return float(weights @ losses) + (log_temperature / _LOG_SPREAD) ** 2 / 2

    def slope(log_temperature: float) -> float:
        scaled = signed * np.exp(-log_temperature)
        return log_temperature / _LOG_SPREAD**2 - float(weights @ (scaled * _sigmoid(scaled)))

    # The cost can have more than one minimum. So the lowest point of a grid is found first, then the minimum beside it.
    grid = np.linspace(-_LARGEST_LOG, _LARGEST_LOG, _GRID)
    lowest = int(np.argmin([cost(point) for point in grid]))
    low, high = float(grid[max(lowest - 1, 0)]), float(grid[min(lowest + 1, _GRID - 1)])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(np.exp((low + high) / 2))


def _sigmoid(values: Floats) -> Floats:
    # Beyond, the exponential overflows, and the result is the same.
    return 1 / (1 + np.exp(-np.clip(values, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))
