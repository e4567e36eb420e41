"""Options of `model`: the head and how it decides. Light to import, for the command line."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.errors import OptionError
from roadclear.utils.settings import SeedSettings, Setting, Settings

HEADS = ("dense", "linear")


@dataclass(kw_only=True)
class HeadSettings(SeedSettings):
    """The head, and how it is trained."""

    panel: ClassVar[str] = "Head"

    head: Annotated[
        str, Setting("Head: dense is Dense(512, ReLU) and Dense(1), linear is logistic regression.", choices=HEADS)
    ] = "dense"
    learning_rate: Annotated[float, Setting("Adam learning rate.", gt=0, le=1)] = 1e-4
    batch_size: Annotated[int, Setting("Batch size.", ge=1)] = 32
    epochs: Annotated[int, Setting("Maximum number of epochs.", ge=1, le=10_000)] = 100
    patience: Annotated[int, Setting("Epochs without a lower validation loss before training stops.", ge=1)] = 10


@dataclass(kw_only=True)
class ThresholdSettings(Settings):
    """What the threshold is for: a minimum recall, a minimum precision, or costs (equal ones by default).

    Raises:
        OptionError: a value is out of its range, or there is more than one aim.
    """

    panel: ClassVar[str] = "Decision"

    min_recall: Annotated[
        float | None, Setting("Choose the threshold for at least this recall on validation photos.", gt=0, le=1)
    ] = None
    min_precision: Annotated[
        float | None, Setting("Choose the threshold for at least this precision on validation photos.", gt=0, le=1)
    ] = None
    cost_fn: Annotated[float, Setting("Cost of missing a photo of the positive class.", gt=0)] = 1.0
    cost_fp: Annotated[float, Setting("Cost of a false alarm.", gt=0)] = 1.0

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
class DecisionSettings(ThresholdSettings):
    """What the threshold is for, and how often the model must be right or say "unsure"."""

    coverage: Annotated[
        float, Setting("Share of photos of each label that are answered rightly or with 'unsure'.", ge=0.5, lt=1)
    ] = 0.95
