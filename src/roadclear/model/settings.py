"""Options of `model`: the head and how it decides. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.errors import OptionError
from roadclear.utils.settings import SeedSettings, Setting, Settings

HEADS = ("dense", "linear")
MAX_ERROR = 0.01
"""Promised share of wrong answers among answered photos, where nothing else is asked for."""


@dataclass(kw_only=True)
class HeadSettings(SeedSettings):
    """The head, and how it is trained."""

    panel: ClassVar[str] = "Head"

    head: Annotated[
        str,
        Setting(
            "Head of the model: dense has a hidden layer of 512 units, linear is logistic regression.", choices=HEADS
        ),
    ] = "dense"
    learning_rate: Annotated[float, Setting("Adam learning rate of the dense head.", gt=0, le=1)] = 1e-4
    batch_size: Annotated[int, Setting("Batch size of the dense head and of fine-tuning.", ge=1)] = 32
    epochs: Annotated[int, Setting("Maximum number of epochs of the dense head.", ge=1, le=10_000)] = 100
    patience: Annotated[
        int, Setting("Number of epochs without a lower validation loss before training stops.", ge=1)
    ] = 10


@dataclass(kw_only=True)
class ThresholdSettings(Settings):
    """Aim of the threshold: a minimum recall, a minimum precision, or costs of mistakes (equal by default).

    Raises:
        OptionError: a value is out of its range, or there is more than one aim.
    """

    panel: ClassVar[str] = "Decision"

    min_recall: Annotated[
        float | None, Setting("Choose a threshold that reaches at least this recall on validation photos.", gt=0, le=1)
    ] = None
    min_precision: Annotated[
        float | None,
        Setting("Choose a threshold that reaches at least this precision on validation photos.", gt=0, le=1),
    ] = None
    cost_fn: Annotated[float, Setting("Cost of a missed positive photo, for choosing the threshold.", gt=0)] = 1.0
    cost_fp: Annotated[float, Setting("Cost of a false alarm, for choosing the threshold.", gt=0)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        aims = self.min_recall is not None, self.min_precision is not None, self.cost_fn != self.cost_fp
        if sum(aims) > 1:
            raise OptionError("expected one aim for the threshold, found several: give a recall, a precision, or costs")

    @property
    def aim(self) -> str:
        """The aim in words."""
        if self.min_recall is not None:
            return f"recall of at least {self.min_recall:g}"
        if self.min_precision is not None:
            return f"precision of at least {self.min_precision:g}"
        if self.cost_fn != self.cost_fp:
            return f"a miss costs {self.cost_fn:g}, a false alarm {self.cost_fp:g}"
        return "balanced"


@dataclass(kw_only=True)
class PromiseSettings(Settings):
    """Promise of the unsure band: few wrong answers among the answered photos, or a coverage of each label.

    Raises:
        OptionError: a value is out of its range, or there are both promises.
    """

    panel: ClassVar[str] = "Decision"

    max_error: Annotated[
        float | None,
        Setting(
            "Largest share of wrong answers among the photos that are answered; all others are 'unsure'. Without it "
            "and without a coverage: 0.01.",
            gt=0,
            le=0.5,
        ),
    ] = None
    max_unsure: Annotated[
        float, Setting("Largest share of photos that may be 'unsure' to keep --max-error.", gt=0, lt=1)
    ] = 0.25
    confidence: Annotated[
        float, Setting("Probability with which the promise of --max-error holds for a training.", ge=0.5, lt=1)
    ] = 0.9
    coverage: Annotated[
        float | None,
        Setting(
            "Promise this instead of --max-error: share of photos of each label whose answer is right or 'unsure'.",
            ge=0.5,
            lt=1,
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_error is not None and self.coverage is not None:
            raise OptionError("expected one promise, found two: give max_error or coverage")

    @property
    def promised_error(self) -> float | None:
        """Requested largest share of wrong answers among answered photos; None where a coverage is promised."""
        if self.coverage is not None:
            return None
        return MAX_ERROR if self.max_error is None else self.max_error


@dataclass(kw_only=True)
class DecisionSettings(PromiseSettings, ThresholdSettings):
    """Aim of the threshold, and promise of the unsure band."""

    cross_fit: Annotated[
        bool,
        Setting(
            "Train in five folds too, so that calibration and promise come from all photos outside the test split. "
            "Takes about five times as long."
        ),
    ] = False
