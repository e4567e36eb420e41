"""Training of heads: embeddings and targets -> a trained head.

Adam trains the dense head, with a random view of every photo in each epoch. L-BFGS trains the linear head on all views.
Sample weights balance the labels.
"""

from collections.abc import Callable, Sequence

import numpy as np

from roadclear.model.adam import DenseTrainer, initial_head
from roadclear.model.heads import (
    DenseHead,
    Epoch,
    LinearHead,
    TrainedHead,
    balanced_weights,
    log_losses,
    measure_epoch,
)
from roadclear.model.logistic import Problems, solve
from roadclear.model.settings import HeadSettings
from roadclear.utils.arrays import Embeddings, Floats, Indices, Targets
from roadclear.utils.threads import Pair, one_thread

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse L2 strengths of the linear head. The validation loss chooses one."""


def train_head(
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: DenseHead | None = None,
) -> TrainedHead:
    """Train the head that the settings name.

    Args:
        views: embeddings of the training photos, one array float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        settings: settings of the training.
        on_epoch: callback after every epoch of a dense head.
        start: dense head to begin with; see `train_dense`. A linear head does not depend on its start.
    """
    if settings.head == "linear":
        return train_linear(views, targets, validation)
    return train_dense(views, targets, validation, settings, on_epoch, start)


def train_dense(
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: DenseHead | None = None,
) -> TrainedHead:
    """Train a dense head. Stop when the validation loss no longer falls, and keep the best epoch.

    Args:
        views: embeddings of the training photos, one array float32 [n, 1280] per view. Every epoch draws one view of
            each photo.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        settings: settings of the training. The seed decides the initial weights, the order of photos and the views.
        on_epoch: callback after every epoch.
        start: head to begin with, for training again after a few labels have changed. Training and validation photos
            must be those that `start` had, else validation photos would be known to the head. None draws weights.

    Returns:
        The best epoch's head. The same arguments give the same weights on the same machine.
    """
    draw = np.random.default_rng(settings.seed)
    first = initial_head(views[0].shape[1], draw) if start is None else start
    weights = balanced_weights(targets)
    history: list[Epoch] = []
    best, lowest = TrainedHead(first, (), 0), np.inf
    with one_thread(), Pair() as pair:
        trainer = DenseTrainer(first, settings.learning_rate, pair)
        for number in range(1, settings.epochs + 1):
            loss = _train_epoch(trainer, views, targets, weights, settings.batch_size, draw)
            epoch = measure_epoch(number, loss, trainer, validation)
            history.append(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
            if epoch.validation_loss < lowest:
                lowest, best = epoch.validation_loss, TrainedHead(trainer.head(), (), number)
            elif number - best.best_epoch >= settings.patience:
                break
    return TrainedHead(best.head, tuple(history), best.best_epoch)


def train_linear(views: Sequence[Embeddings], targets: Targets, validation: tuple[Embeddings, Targets]) -> TrainedHead:
    """Train logistic regression on all views. The validation loss chooses the L2 strength.

    Embeddings are standardised for training, and the scaling is folded into the kernel afterwards.

    Args:
        views: embeddings of the training photos, one array float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.

    Returns:
        The best head. The history has one entry per L2 strength.
    """
    (candidates,) = _fit_strengths(views, targets, balanced_weights(targets)[:, None])
    with one_thread():
        return _choose(candidates, validation)


def train_linears(
    views: Sequence[Embeddings], targets: Targets, splits: Sequence[tuple[Indices, Indices]]
) -> list[TrainedHead]:
    """Train linear heads on several splits of the same photos, all together: in far less time than one by one.

    Args:
        views: embeddings of the photos, one array float32 [n, 1280] per view. The first is plain.
        targets: int64 [n], 1 for the positive class, else 0.
        splits: training photos and validation photos of each split, int [m] each.

    Returns:
        For each split, the head that `train_linear` gives, but for rounding.
    """
    weights = np.zeros((len(targets), len(splits)))
    for number, (train, _) in enumerate(splits):
        weights[train, number] = balanced_weights(targets[train])
    used = weights.max(axis=1) > 0
    if used.mean() > 0.9:  # a copy of the rest would cost more than it saves
        used = np.ones_like(used)
    seen = views if used.all() else [view[used] for view in views]
    fitted = _fit_strengths(seen, targets[used], weights[used])
    with one_thread():
        return [
            _choose(candidates, (views[0][held_out], targets[held_out]))
            for candidates, (_, held_out) in zip(fitted, splits, strict=True)
        ]


def _train_epoch(
    trainer: DenseTrainer,
    views: Sequence[Embeddings],
    targets: Targets,
    weights: Floats,
    batch_size: int,
    draw: np.random.Generator,
) -> float:
    """Train on a random view of every photo, in a random order. Return the mean loss."""
    chosen, order = draw.integers(len(views), size=len(targets)), draw.permutation(len(targets))
    total = 0.0
    for start in range(0, len(order), batch_size):
        photos = order[start : start + batch_size]
        embeddings = np.empty((len(photos), views[0].shape[1]), np.float32)
        for number, view in enumerate(views):
            here = chosen[photos] == number
            embeddings[here] = view[photos[here]]
        total += trainer.step(embeddings, targets[photos], weights[photos]) * len(photos)
    return total / len(order)


_Fitted = tuple[LinearHead, float]
"""A linear head with its mean loss on the training photos."""


def _fit_strengths(views: Sequence[Embeddings], targets: Targets, weights: Floats) -> list[list[_Fitted]]:
    """Fit a head for each column of sample weights [n, k] and each strength."""
    count = len(STRENGTHS)
    repeated = np.repeat(weights, count, axis=1)
    with one_thread():
        kernels, biases = (
            each.astype(np.float32)
            for each in solve(Problems(views, targets, repeated, np.tile(STRENGTHS, weights.shape[1])))
        )
        losses = np.mean([log_losses(view @ kernels + biases, targets[:, None]) for view in views], axis=0)
    means = np.average(losses, axis=0, weights=repeated > 0)
    heads = [
        (LinearHead(kernel, bias), float(mean))
        for kernel, bias, mean in zip(np.ascontiguousarray(kernels.T), biases, means, strict=True)
    ]
    return [heads[start : start + count] for start in range(0, len(heads), count)]


def _choose(candidates: Sequence[_Fitted], validation: tuple[Embeddings, Targets]) -> TrainedHead:
    history = tuple(
        measure_epoch(number, loss, head, validation) for number, (head, loss) in enumerate(candidates, start=1)
    )
    best = min(history, key=lambda epoch: epoch.validation_loss).epoch
    return TrainedHead(candidates[best - 1][0], history, best)
