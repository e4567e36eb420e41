"""Heads on the frozen base: the chosen head and the linear reference head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.adapt import adapt_head
from roadclear.model.fit import train_head
from roadclear.model.heads import DenseHead, Epoch, Head, TrainedHead
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData, load_views
from roadclear.utils.arrays import Targets
from roadclear.utils.progress import ProgressCallback
from roadclear.utils.rows import Rows

FEW = 30
"""Number of training photos of the rarer label from which more of an earlier model is trained than its output layer."""


def are_few(targets: Targets) -> bool:
    """Whether training photos are so few that only the output layer of an earlier head is adapted to them.

    Args:
        targets: int64 [n], 1 for the positive class, else 0.
    """
    return int(min((targets == 1).sum(), (targets == 0).sum())) < FEW


def adapted_start(data: PreparedData, settings: TrainSettings) -> Head | None:
    """Return the head of the start where a training only adapts its output layer; None where more is trained."""
    return data.head_of_start(settings.head) if are_few(data.targets[data.is_in(TRAIN)]) else None


@dataclass(frozen=True, eq=False)
class TrainedHeads:
    """The chosen head and the linear reference head. Both are the same for `head="linear"` without a start."""

    chosen: TrainedHead
    linear: TrainedHead


def fit_head(
    views: Sequence[Rows],
    targets: Targets,
    validation: tuple[Rows, Targets],
    settings: TrainSettings,
    start: Head | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedHead:
    """Train the head that the settings name, from the head of an earlier model where there is one.

    With few training photos only the output layer of the earlier head changes. With more, a dense head is trained on as
    a whole, and a linear head is trained anew. docs/adr/0050-few-photos.md has the measurements.

    Args:
        views: embeddings of the training photos, float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        settings: settings of the head.
        start: head of an earlier model with the same labels and of the same kind; None to train a new head.
        on_epoch: callback after every epoch of a dense head.
    """
    if start is not None and are_few(targets):
        return adapt_head(start, [view[:] for view in views], targets, (validation[0][:], validation[1]))
    dense = start if isinstance(start, DenseHead) else None
    return train_head(views, targets, validation, settings, on_epoch, dense)


def fit_heads(data: PreparedData, settings: TrainSettings, progress: ProgressCallback) -> TrainedHeads:
    """Train the heads on the plain and the augmented views of the training photos.

    The chosen head starts from the head of the start, if the start has one for these labels. The linear reference head
    is always trained anew.

    Args:
        data: prepared photos.
        settings: settings of the heads and the augmentation.
        progress: called after every photo and every epoch.

    Raises:
        DatasetError: a photo changed after it was prepared.
        OutputError: the cache cannot be written.
    """
    embeddings, targets = data.select(TRAIN)
    views = [embeddings, *load_views(data, data.numbers(TRAIN).tolist(), settings.views, progress)]
    validation = data.select(VALIDATION)
    linear = train_head(views, targets, validation, replace(settings, head="linear"))
    start = data.head_of_start(settings.head)
    if settings.head == "linear" and start is None:
        return TrainedHeads(linear, linear)
    chosen = fit_head(
        views,
        targets,
        validation,
        settings,
        start,
        on_epoch=lambda epoch: progress("Training", epoch.epoch, settings.epochs),
    )
    epochs = len(chosen.history)
    if epochs < settings.epochs:  # The training stopped early, and its stage ends.
        progress("Training", epochs, epochs)
    return TrainedHeads(chosen, linear)
