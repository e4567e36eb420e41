"""Heads on the frozen base: the chosen head and the linear reference head."""

from dataclasses import dataclass, replace
from functools import partial

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.fit import train_head
from roadclear.model.heads import DenseHead, TrainedHead
from roadclear.training.config import TrainSettings
from roadclear.training.prepare import PreparedData, load_views
from roadclear.utils.progress import ProgressCallback


@dataclass(frozen=True, eq=False)
class TrainedHeads:
    """The chosen head and the linear reference head, which are the same for `head="linear"`."""

    chosen: TrainedHead
    linear: TrainedHead


def fit_heads(
    data: PreparedData, settings: TrainSettings, progress: ProgressCallback, start: DenseHead | None = None
) -> TrainedHeads:
    """Train the heads on the plain and the augmented views of the training photos.

    Args:
        data: prepared photos.
        settings: settings of the heads and the augmentation.
        progress: called after every photo and every epoch.
        start: dense head of an earlier training with the same training and validation photos, to begin with.

    Raises:
        DatasetError: a photo changed after it was prepared.
        OutputError: the cache cannot be written.
    """
    embeddings, targets = data.select(TRAIN)
    views = load_views(data, data.numbers(TRAIN).tolist(), settings.views, progress)
    train = partial(
        train_head,
        views=[embeddings, *views],
        targets=targets,
        validation=data.select(VALIDATION),
    )
    linear = train(settings=replace(settings, head="linear"))
    if settings.head == "linear":
        return TrainedHeads(linear, linear)
    dense = train(
        settings=settings,
        on_epoch=lambda epoch: progress("Training", epoch.epoch, settings.epochs),
        start=start,
    )
    epochs = len(dense.history)
    if epochs < settings.epochs:  # The training stopped early, and its stage ends.
        progress("Training", epochs, epochs)
    return TrainedHeads(dense, linear)
