"""Numbers in words."""

import math
from collections.abc import Sequence

from roadclear.metrics.intervals import Estimate

FEW = 20
"""Below this number of photos a share is said as a count."""

# Denominators in everyday use, the simplest first.
_ROUND = (2, 3, 4, 5, 10, 20, 50, 100, 200, 500, 1000)
_TOLERANCE = 0.25


def percent(share: float) -> str:
    """A share with one decimal ("94.9%"); "not defined" for nan."""
    return f"{share:.1%}" if math.isfinite(share) else "not defined"


def interval(estimate: Estimate, as_percent: bool = True) -> str:
    """The two ends of a 95% interval ("89.3% to 97.6%")."""
    low, high = estimate.ci95
    if not (math.isfinite(low) and math.isfinite(high)):
        return "not defined"
    return f"{percent(low)} to {percent(high)}" if as_percent else f"{low:.3f} to {high:.3f}"


def share(estimate: Estimate) -> str:
    """A share of photos: "94.9%", "1 of 2 photos" where a percentage would say more than is known, or "not defined"."""
    if not math.isfinite(estimate.value) or estimate.n >= FEW:
        return percent(estimate.value)
    return f"{round(estimate.value * estimate.n)} of {count(estimate.n, 'photo')}"


def number(value: float) -> str:
    """A metric with three decimals ("0.949"); "not defined" for nan."""
    return f"{value:.3f}" if math.isfinite(value) else "not defined"


def number_with_interval(estimate: Estimate) -> str:
    """A metric with three decimals and its interval ("0.949  (0.893 to 0.976)"); "not defined" for nan."""
    if not math.isfinite(estimate.value):
        return "not defined"
    return f"{estimate.value:.3f}  ({interval(estimate, as_percent=False)})"


def plus_minus(estimate: Estimate, sign: str = "±") -> str:
    """A share with the longer side of its 95% interval, in points ("94.9% ± 1.6")."""
    low, high = estimate.ci95
    margin = max(estimate.value - low, high - estimate.value)
    return f"{percent(estimate.value)} {sign} {100 * margin:.1f}" if math.isfinite(margin) else percent(estimate.value)


def several(things: Sequence[str], conjunction: str = "and") -> str:
    """Things in a sentence ("a", "a and b", "a, b and c")."""
    *others, last = things
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def frequency(share: float) -> str:
    """How often something happens, by the simplest fraction that is close enough ("about 19 times in 20").

    Args:
        share: share of cases, in [0, 1]. The fraction errs by at most a quarter of the smaller of share and 1 - share.
    """
    if share in (0.0, 1.0):
        return "every time" if share else "never"
    allowed = _TOLERANCE * min(share, 1 - share)
    for whole in _ROUND:
        part = round(share * whole)
        if abs(part / whole - share) <= allowed:
            return "about every second time" if whole == 2 else f"about {_times(part)} in {whole:,}"
    return "nearly every time" if share > 0.5 else "hardly ever"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def count(number: int, thing: str, things: str | None = None) -> str:
    """A number with its noun ("1 photo", "1,204 photos")."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def seconds(value: float) -> str:
    """A duration ("0.4 s", "12 s", "3 min 20 s")."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
