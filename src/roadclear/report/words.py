"""Numbers in words."""

import math

from roadclear.metrics.intervals import Estimate

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
