"""What the studio needs of rooms that it does not know. The command hands in objects that have these methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from roadclear.data.dataset import Dataset, LabelledPhoto
from roadclear.images.decode import UnreadablePhoto
from roadclear.metrics.comparison import Comparison
from roadclear.metrics.intervals import Estimate
from roadclear.model.decision.promise import Promise
from roadclear.model.predictor import Model
from roadclear.utils.arrays import Bools, Floats, Indices
from roadclear.utils.progress import ProgressCallback


class Left(Protocol):
    """A photo that stayed where it was: its path, and why."""

    @property
    def file(self) -> str:
        """Path relative to the folder."""

    @property
    def why(self) -> str:
        """The reason in words for a person."""


class Edited(Protocol):
    """What a change did."""

    @property
    def files(self) -> Sequence[str]:
        """Paths of the changed photos after the change."""

    @property
    def left(self) -> Sequence[Left]:
        """Photos that stayed."""


class Editor(Protocol):
    """Changes to the folder of photos, as `roadclear.curation.editing.Editor` makes them."""

    folder: Path
    labels: tuple[str, str]

    def unlabelled(self) -> Sequence[LabelledPhoto]:
        """List the unlabelled photos, with an empty label. The first part of each path names their folder."""

    def relabel(self, files: Sequence[str], label: str) -> Edited:
        """Move photos to the folder of a label, labelled and unlabelled ones."""

    def set_aside(self, files: Sequence[str]) -> Edited:
        """Move photos to the quarantine."""

    def add(self, label: str, name: str, data: bytes, step: str = "") -> str | None:
        """Write a new photo, with the label "" an unlabelled one; None where there is a photo with this content."""

    def undo(self) -> Edited | None:
        """Take the last change back."""

    def undoable(self) -> int:
        """Return the number of photos that the next `undo` changes."""

    def rename(self, labels: tuple[str, str]) -> None:
        """Give the labels other names."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of the model after a change.

    Attributes:
        labels: the negative and the positive label.
        files: [n] paths of the usable photos that were tested, relative to the folder.
        positive: bool [n], whether a photo has the positive label.
        probability: float64 [n], out-of-fold probability of the positive label.
        predicted: bool [n], whether the out-of-fold prediction is positive.
        groups: int [n], number of the group of each photo.
        accuracy: cross-validated accuracy with its interval.
        unsure: share of the photos with the answer "unsure", by the out-of-fold probabilities, with its interval.
        promise: promise about the photos that are answered; None where a coverage is promised.
        change: comparison with the numbers before; None for the first numbers.
        seen: number of usable photos that were not tested, because the earlier model of the start knows them.
        skipped: photos that cannot be used.
        seconds: wall-clock time of the update.
    """

    labels: tuple[str, str]
    files: tuple[str, ...]
    positive: Bools
    probability: Floats
    predicted: Bools
    groups: Indices
    accuracy: Estimate
    unsure: Estimate
    promise: Promise | None
    change: Comparison | None
    seen: int
    skipped: tuple[UnreadablePhoto, ...]
    seconds: float


@dataclass(frozen=True)
class Task:
    """A photo to decide on.

    Attributes:
        reason: reason of `clean` or `triage`, such as "duplicate" or "wrong-label".
        file: path relative to the folder.
        label: label of the photo; "" for an unlabelled one.
        suggested: label that the model predicts, where it is the other one; else None.
        probability: out-of-fold probability of the positive label; None where the photo has none.
        beside: other photos to look at with this one.
        detail: what was found, in words; "" where the reason says everything.
    """

    reason: str
    file: str
    label: str
    suggested: str | None = None
    probability: float | None = None
    beside: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Map of a photo, by a head that saw neither the photo nor its group.

    Attributes:
        heatmap: float32 [rows, columns], contribution of each place to the logit of the positive label.
        limit: end of the map's scale, in logits.
    """

    heatmap: NDArray[np.float32]
    limit: float


@dataclass(frozen=True)
class Gain:
    """Change of the accuracy from half of the photos to all, with its 95% interval, as shares."""

    photos: tuple[int, int]
    value: float
    interval: tuple[float, float]


class Trainer(Protocol):
    """Training that follows the folder. `update`, `agenda`, `label_next` and `gain` are called by one thread.

    An error that the callback for progress raises ends the work at once, and leaves the trainer as it was.
    """

    def update(self, dataset: Dataset, progress: ProgressCallback) -> Numbers:
        """Compute the numbers of the photos and labels as they are now.

        Raises:
            RoadclearError: the photos cannot be trained on yet.
        """

    def agenda(self, dataset: Dataset, progress: ProgressCallback) -> Sequence[Task]:
        """List the photos to decide on, the most urgent first, after the last `update`."""

    def label_next(
        self, dataset: Dataset, unlabelled: Sequence[LabelledPhoto], progress: ProgressCallback
    ) -> Sequence[Task]:
        """List unlabelled photos, those first whose labels would help most."""

    def gain(self, progress: ProgressCallback) -> Gain | None:
        """Measure what the second half of the photos brought; None where there are too few photos."""

    def evidence(self, file: str) -> Evidence | None:
        """Map the evidence in a photo of the last `update`; None for a photo without a map."""

    def model(self, dataset: Dataset) -> Model:
        """Train the model that would be taken away."""


@dataclass(frozen=True)
class TakenAway:
    """What was exported.

    Attributes:
        folder: run folder.
        commands: commands that make the same files.
        files: downloads by name.
        refused: why there is no web page; "" where there is one.
    """

    folder: Path
    commands: tuple[str, ...]
    files: Mapping[str, Path]
    refused: str = ""


class Exporter(Protocol):
    """Maker of the run folder and the web page."""

    @property
    def command(self) -> str:
        """Command that trains the same model."""

    def __call__(self, progress: ProgressCallback) -> TakenAway:
        """Train, write the run folder, and export the web page.

        Raises:
            RoadclearError: the photos cannot be trained on, or a file cannot be written.
        """
