"""When to answer "unsure": split conformal prediction, for each label by itself.

Of the validation photos of a label, the share 1 - coverage that the head likes least marks where an answer against that
label becomes too risky. Where answers against either label are, the answer is "unsure". For new photos like those of
validation, whatever the mix of labels, at least `coverage` of each label are then answered rightly or with "unsure"
(Vovk 2012, "Conditional validity of inductive conformal predictors", section 4; Lei 2014, "Classification with
confidence", section 3). The head was stopped and calibrated on the same photos, which makes the promise approximate.
"""

from dataclasses import dataclass

import numpy as np

from roadclear.utils.arrays import Bools, Probabilities


@dataclass(frozen=True)
class UnsureBand:
    """Probabilities that are too close to call: from `low` to `high`, both included; none where these are equal.

    Attributes:
        low: at most the threshold.
        high: at least the threshold.
        coverage: share of photos of each label that is promised to be answered rightly or with "unsure".
    """

    low: float
    high: float
    coverage: float

    def covers(self, probability: Probabilities) -> Bools:
        """Whether photos are unsure, bool [n], by their probabilities [n]."""
        return np.asarray((probability >= self.low) & (probability <= self.high) & (self.low < self.high))


def unsure_band(positive: Bools, probability: Probabilities, threshold: float, coverage: float) -> UnsureBand:
    """The narrowest band around the threshold that keeps the promise.

    Args:
        positive: [n], whether the validation photo is of the positive class; both classes are there.
        probability: [n], of the positive class.
        threshold: photos with at least this probability are called positive.
        coverage: wished, in [0.5, 1). n photos of a label can promise n / (n + 1) at most: where that is less, it is
            what is promised.
    """
    fewest = min(int(positive.sum()), int((~positive).sum()))
    promised = min(coverage, fewest / (fewest + 1))
    p = probability.astype(np.float64)
    low = _least_but(p[positive], 1 - promised)
    high = 1 - _least_but(1 - p[~positive], 1 - promised)
    return UnsureBand(min(low, threshold), max(high, threshold), promised)


def _least_but(values: "np.typing.NDArray[np.float64]", share: float) -> float:
    """The k-th least of n values, k being the largest rank with k / (n + 1) <= share."""
    rank = int(np.floor((len(values) + 1) * share + 1e-9))
    return float(np.sort(values)[rank - 1])
