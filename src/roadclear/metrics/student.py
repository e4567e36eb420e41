"""Student's t distribution: the one quantile that 95% intervals need. scipy would take longer to import than a fold."""

import math
from functools import cache

_NORMAL = 1.959963984540054
_SERIES = 200
"""Degrees of freedom from which on the expansion is exact to 1e-11."""


@cache
def t_quantile(freedom: int) -> float:
    """Compute the 97.5% quantile of Student's t.

    Source: Abramowitz and Stegun, "Handbook of mathematical functions", 1964: the finite sums 26.7.3 and 26.7.4 for the
    probability, and the expansion 26.7.5 for many degrees of freedom.

    Args:
        freedom: degrees of freedom, at least 1.

    Example:
        >>> round(t_quantile(10), 6)
        2.228139
    """
    if freedom > _SERIES:
        return _expansion(freedom)
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _probability_within(middle, freedom) < 0.95:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(middle)


def _probability_within(angle: float, freedom: int) -> float:
    """P(|T| < sqrt(freedom) * tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for number in range(odd, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (number + 1) / (number + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expansion(freedom: int) -> float:
    z = _NORMAL
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )
