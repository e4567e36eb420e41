"""Unsure band: split conformal prediction, for each label by itself.

For each label, sort its validation photos by the probability of that label. The other label may be answered only below
the (1 - coverage) quantile. Between the two cut-offs the answer is "unsure".

So at least `coverage` of new photos of each label get the correct answer or "unsure", in any mix of labels, if new
photos resemble the validation photos (Vovk 2012, "Conditional validity of inductive conformal predictors", section 4;
Lei 2014, "Classification with confidence", section 3). The guarantee is approximate here, because the same photos
stopped the training and calibrated the head.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.utils.arrays import Bools, Probabilities


@dataclass(frozen=True)
class UnsureBand:
    """Probabilities with the answer "unsure": from `low` to `high`, both included. Equal ends mean an empty band.

    Attributes:
        low: lower end, at most the threshold.
        high: upper end, at least the threshold.
        coverage: guaranteed share of photos of each label with the correct answer or "unsure".
    """

    low: float
    high: float
    coverage: float

    def covers(self, probability: Probabilities) -> Bools:
        """Find probabilities [n] inside the band: bool [n]."""
        return np.asarray((probability >= self.low) & (probability <= self.high) & (self.low < self.high))

    def around(self, threshold: float) -> "UnsureBand":
        """Stretch the band to another threshold, so that the coverage still holds.

        A label is answered only for probabilities for which it was answered before, or for fewer.
        """
        return UnsureBand(min(self.low, threshold), max(self.high, threshold), self.coverage)


def unsure_band(positive: Bools, probability: Probabilities, threshold: float, coverage: float) -> UnsureBand:
    """Compute the narrowest band around the threshold that guarantees the coverage.

    n photos of a label guarantee at most n / (n + 1). A higher requested coverage is lowered to this value.

    Args:
        positive: bool [n], whether each validation photo is of the positive class. Both classes are needed.
        probability: float [n], probability of the positive class.
        threshold: least probability of a positive prediction.
        coverage: requested coverage, in [0.5, 1).
    """
    fewest = min(int(positive.sum()), int((~positive).sum()))
    guaranteed = min(coverage, fewest / (fewest + 1))
    p = probability.astype(np.float64)
    low = _lower_quantile(p[positive], 1 - guaranteed)
    high = 1 - _lower_quantile(1 - p[~positive], 1 - guaranteed)
    return UnsureBand(min(low, threshold), max(high, threshold), guaranteed)


def _lower_quantile(values: "np.typing.NDArray[np.float64]", share: float) -> float:
    """k-th least of n values, where k is the largest rank with k / (n + 1) <= share."""
    rank = int(np.floor((len(values) + 1) * share + 1e-9))
    return float(np.sort(values)[rank - 1])
