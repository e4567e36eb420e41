"""Every option of a training, with its default and its range, in one place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from roadclear.errors import OptionError
from roadclear.features.engine import ENGINES, PRECISIONS
from roadclear.model.decision.aim import Aim

HEADS = ("dense", "linear")
AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda", "mps")


@dataclass(frozen=True)
class TrainingOptions:
    """How to train. The defaults are the mission's recipe.

    Attributes:
        positive: the label whose probability the model gives; None where the names tell it ("empty", "no-...").
        seed: of the split, the initial weights, the order of photos and the choice of views.
        size: side of the square that photos are squashed to, in pixels; a multiple of 32.
        weights: name of the backbone's weights source.
        weights_file: a local copy of the weights file, or None for where the source has it.
        download_weights: whether a weights file that is not here may be downloaded.
        split: a CSV file with the part of every photo, as `roadclear split` writes it; None to draw one.
        group_by: a regular expression for file names: photos in which it finds the same text stay on one side of the
            split, as frames of one video should; None for no such ties.
        group_by_page: whether photos from one web page (sources.csv) stay on one side.
        group_by_author: whether photos by one author (sources.csv) stay on one side.
        views: augmented views of every training photo, beside the plain one.
        rotation: largest rotation of a view, in degrees.
        zoom: largest zoom of a view, as a share.
        flip: probability that a view is mirrored.
        head: "dense", Dense(512, ReLU) -> Dense(1), or "linear", logistic regression.
        learning_rate: of Adam.
        batch_size: photos a step.
        epochs: at most that many.
        patience: stop after that many epochs without a lower validation loss.
        unfreeze: number of the base's last inverted residuals that train as well, with its last convolution, once the
            head is trained; 0 keeps the whole base frozen; "auto" takes what does best on validation. All but 0 need
            PyTorch.
        finetune_views: augmented views of every training photo that this second phase draws from, beside the plain one.
        finetune_seconds: about what "auto" may take for fine-tuning; what it chose can be repeated by its number.
        finetune_epochs: of that second phase, at most that many.
        finetune_learning_rate: of AdamW in that phase, at its peak, for the last block; less for those below it.
        device: what PyTorch computes on: "cpu", "cuda", "mps", or "auto" for the first of cuda, mps, cpu that is there.
        min_recall: choose the threshold for at least this recall on validation.
        min_precision: choose the threshold for at least this precision on validation.
        cost_fn: what it costs to miss a positive photo; with `cost_fp` it gives the threshold where neither recall nor
            precision is wished.
        cost_fp: what it costs to call a negative photo positive.
        coverage: share of new photos of each label that are to be answered rightly or with "unsure".
        engine: "openvino" or "onnxruntime".
        precision: "f32", as the model file computes everywhere, or "bf16", less work where the processor has it.

    Raises:
        OptionError: a value is out of its range.
    """

    positive: str | None = None
    seed: int = 0
    size: int = 224
    weights: str = "imagenet"
    weights_file: str | None = None
    download_weights: bool = False
    split: str | None = None
    group_by: str | None = None
    group_by_page: bool = False
    group_by_author: bool = False
    views: int = 1
    rotation: float = 5.0
    zoom: float = 0.1
    flip: float = 0.5
    head: str = "dense"
    learning_rate: float = 1e-4
    batch_size: int = 32
    epochs: int = 100
    patience: int = 10
    unfreeze: int | str = 0
    finetune_views: int = 4
    finetune_seconds: float = 50.0
    finetune_epochs: int = 12
    finetune_learning_rate: float = 1e-3
    device: str = "auto"
    min_recall: float | None = None
    min_precision: float | None = None
    cost_fn: float = 1.0
    cost_fp: float = 1.0
    coverage: float = 0.95
    engine: str = "openvino"
    precision: str = "f32"

    def __post_init__(self) -> None:
        for name, (valid, expected) in _RANGES.items():
            value = getattr(self, name)
            if not valid(value):
                raise OptionError(f"{name} must be {expected}, got {value!r}")
        _ = self.aim

    @property
    def aim(self) -> Aim:
        """What the threshold is for."""
        return Aim(self.min_recall, self.min_precision, self.cost_fn, self.cost_fp)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TrainingOptions":
        """Options by name, as a configuration file has them.

        Raises:
            OptionError: a name is unknown, a value has the wrong type or is out of range.
        """
        known = {field.name: field.type for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise OptionError(f"unknown option {name!r}: expected one of {', '.join(known)}")
            expected = known[name]
            if not isinstance(value, _accepted_types(expected)) or (isinstance(value, bool) and expected is not bool):
                raise OptionError(f"{name} must be of type {_type_name(expected)}, got {value!r}")
        return cls(**values)


def _accepted_types(annotation: Any) -> Any:
    """An annotation's types; an integer also stands for a float."""
    return annotation | int if annotation is float or float in get_args(annotation) else annotation


def _type_name(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": (lambda v: 0 <= v < 2**32, "at least 0 and below 2**32"),
    "size": (lambda v: v >= 32 and v % 32 == 0, "a multiple of 32, at least 32"),
    "views": (lambda v: 0 <= v <= 64, "between 0 and 64"),
    "rotation": (lambda v: 0 <= v <= 180, "between 0 and 180 degrees"),
    "zoom": (lambda v: 0 <= v < 1, "at least 0 and below 1"),
    "flip": (lambda v: 0 <= v <= 1, "a probability between 0 and 1"),
    "head": (lambda v: v in HEADS, f"one of {', '.join(HEADS)}"),
    "learning_rate": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "batch_size": (lambda v: v >= 1, "at least 1"),
    "epochs": (lambda v: 1 <= v <= 10_000, "between 1 and 10,000"),
    "patience": (lambda v: v >= 1, "at least 1"),
    "unfreeze": (lambda v: v == AUTO or (isinstance(v, int) and 0 <= v <= 17), "between 0 and 17 blocks, or 'auto'"),
    "finetune_views": (lambda v: 0 <= v <= 64, "between 0 and 64"),
    "finetune_seconds": (lambda v: v > 0, "above 0"),
    "finetune_epochs": (lambda v: 1 <= v <= 10_000, "between 1 and 10,000"),
    "finetune_learning_rate": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "device": (lambda v: v in DEVICES, f"one of {', '.join(DEVICES)}"),
    "min_recall": (lambda v: v is None or 0 < v <= 1, "above 0 and at most 1"),
    "min_precision": (lambda v: v is None or 0 < v <= 1, "above 0 and at most 1"),
    "cost_fn": (lambda v: 0 < v < float("inf"), "above 0"),
    "cost_fp": (lambda v: 0 < v < float("inf"), "above 0"),
    "coverage": (lambda v: 0.5 <= v < 1, "at least 0.5 and below 1"),
    "engine": (lambda v: v in ENGINES, f"one of {', '.join(ENGINES)}"),
    "precision": (lambda v: v in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
}
