"""What a threshold is for."""

import math
from dataclasses import dataclass

from roadclear.errors import OptionError


@dataclass(frozen=True)
class Aim:
    """What the threshold is for: one of a wished recall, a wished precision, and costs (equal ones by default).

    Attributes:
        min_recall: at least this recall, with the highest specificity; in (0, 1].
        min_precision: at least this precision, with the highest recall; in (0, 1].
        cost_fn: what it costs to miss a positive photo, above 0.
        cost_fp: what it costs to call a negative photo positive, above 0.

    Raises:
        OptionError: a value is out of its range, or there is more than one aim.
    """

    min_recall: float | None = None
    min_precision: float | None = None
    cost_fn: float = 1.0
    cost_fp: float = 1.0

    def __post_init__(self) -> None:
        for name, wished in (("recall", self.min_recall), ("precision", self.min_precision)):
            if wished is not None and not 0 < wished <= 1:
                raise OptionError(f"the minimal {name} must be above 0 and at most 1, got {wished}")
        if not (0 < self.cost_fn < math.inf and 0 < self.cost_fp < math.inf):
            raise OptionError(f"costs must be above 0, got {self.cost_fn} for misses, {self.cost_fp} for false alarms")
        aims = self.min_recall is not None, self.min_precision is not None, self.cost_fn != self.cost_fp
        if sum(aims) > 1:
            raise OptionError("expected one aim for the threshold, found several: give a recall, a precision, or costs")

    def __str__(self) -> str:
        """The aim in words."""
        if self.min_recall is not None:
            return f"recall of at least {self.min_recall:g}"
        if self.min_precision is not None:
            return f"precision of at least {self.min_precision:g}"
        if self.cost_fn != self.cost_fp:
            return f"a miss costs {self.cost_fn:g}, a false alarm {self.cost_fp:g}"
        return "balanced"
