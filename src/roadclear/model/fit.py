"""Training of heads: embeddings and targets -> a trained head.

Adam trains the dense head, with a random view of every photo in each epoch. L-BFGS trains the linear head on all views.
Sample weights balance the labels. Embeddings may be in memory or in a file, with the same result.
docs/adr/0056-a-million-photos.md says where many photos are treated otherwise than few.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

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
from roadclear.utils.rows import Rows
from roadclear.utils.threads import Pair, one_thread

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse L2 strengths of the linear head. The validation loss chooses one."""

MOST_A_ROUND = 50_000
"""Largest number of training photos between two measurements of the validation loss."""

MOST_LINEAR = 50_000
"""Largest number of photos that a linear head is trained on. Both labels give as many, as far as they go."""

MOST_WATCHED = 20_000
"""Largest number of validation photos that stop the training and choose the strength."""


def train_head(
    views: Sequence[Rows],
    targets: Targets,
    validation: tuple[Rows, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: DenseHead | None = None,
) -> TrainedHead:
    """Train the head that the settings name.

    Args:
        views: embeddings of the training photos, float32 [n, 1280] per view.
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
    views: Sequence[Rows],
    targets: Targets,
    validation: tuple[Rows, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: DenseHead | None = None,
) -> TrainedHead:
    """Train a dense head. Stop when the validation loss no longer falls, and keep the best epoch.

    An epoch of more than 50,000 training photos ends after 50,000 of them, and the next epoch goes on with the others.
    So the largest number of epochs bounds the time, however many photos there are. Of more than 20,000 validation
    photos a sample of 20,000 stops the training.

    Args:
        views: embeddings of the training photos, float32 [n, 1280] per view. Every pass over the photos draws one view
            of each photo.
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
    watched = _watched(validation, settings.seed)
    batches = _batches(len(targets), len(views), settings.batch_size, draw)
    a_round = -(-min(len(targets), MOST_A_ROUND) // settings.batch_size)
    weights = balanced_weights(targets)
    history: list[Epoch] = []
    best, lowest = TrainedHead(first, (), 0), np.inf
    with one_thread(), Pair() as pair:
        trainer = DenseTrainer(first, settings.learning_rate, pair)
        for number in range(1, settings.epochs + 1):
            loss = _train_epoch(trainer, views, targets, weights, islice(batches, a_round))
            epoch = measure_epoch(number, loss, trainer, watched)
            history.append(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
            if epoch.validation_loss < lowest:
                lowest, best = epoch.validation_loss, TrainedHead(trainer.head(), (), number)
            elif number - best.best_epoch >= settings.patience:
                break
    return TrainedHead(best.head, tuple(history), best.best_epoch)


def train_linear(views: Sequence[Rows], targets: Targets, validation: tuple[Rows, Targets]) -> TrainedHead:
    """Train logistic regression on all views. The validation loss chooses the L2 strength.

    Embeddings are standardised for training, and the scaling is folded into the kernel afterwards. Of more than 50,000
    training photos a sample is trained on.

    Args:
        views: embeddings of the training photos, float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.

    Returns:
        The best head. The history has one entry per L2 strength.
    """
    drawn = _drawn_photos(targets)
    chosen = [view[:] if drawn is None else view[drawn] for view in views]
    targets = targets if drawn is None else targets[drawn]
    (candidates,) = _fit_strengths(chosen, targets, balanced_weights(targets)[:, None])
    with one_thread():
        return _choose(candidates, _watched(validation, 0))


def train_linears(
    views: Sequence[Rows], targets: Targets, splits: Sequence[tuple[Indices, Indices]]
) -> list[TrainedHead]:
    """Train linear heads on several splits of the same photos, all together: in far less time than one by one.

    Args:
        views: embeddings of the photos, float32 [n, 1280] per view. The first is plain. They are read to memory.
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
    seen = [view[:] if used.all() else view[used] for view in views]
    fitted = _fit_strengths(seen, targets[used], weights[used])
    with one_thread():
        return [
            _choose(candidates, (views[0][held_out], targets[held_out]))
            for candidates, (_, held_out) in zip(fitted, splits, strict=True)
        ]


def _watched(validation: tuple[Rows, Targets], seed: int) -> tuple[Embeddings, Targets]:
    """Read validation photos to memory: all, or a sample of many."""
    embeddings, targets = validation
    if len(targets) <= MOST_WATCHED:
        return embeddings[:], targets
    drawn = np.sort(np.random.default_rng(seed).permutation(len(targets))[:MOST_WATCHED])
    return embeddings[drawn], targets[drawn]


def _drawn_photos(targets: Targets) -> Indices | None:
    """Draw photos for a linear head, as many of each label as there are; None for all photos."""
    if len(targets) <= MOST_LINEAR:
        return None
    draw = np.random.default_rng(0)
    of_label = [draw.permutation(np.flatnonzero(targets == label)) for label in (0, 1)]
    half = MOST_LINEAR // 2
    few = min(len(photos) for photos in of_label)
    most = half if few >= half else MOST_LINEAR - few
    return np.sort(np.concatenate([photos[:most] for photos in of_label]))


def _batches(photos: int, views: int, batch_size: int, draw: np.random.Generator) -> Iterator[tuple[Indices, Indices]]:
    """Yield photos of a batch, and the view of each, without end: random views of all photos in a random order."""
    while True:
        chosen, order = draw.integers(views, size=photos), draw.permutation(photos)
        for start in range(0, photos, batch_size):
            batch = order[start : start + batch_size]
            yield batch, chosen[batch]


def _train_epoch(
    trainer: DenseTrainer,
    views: Sequence[Rows],
    targets: Targets,
    weights: Floats,
    batches: Iterator[tuple[Indices, Indices]],
) -> float:
    """Train on batches of photos. Return the mean loss."""
    total, count = 0.0, 0
    for photos, chosen in batches:
        embeddings = np.empty((len(photos), views[0].shape[1]), np.float32)
        for number, view in enumerate(views):
            here = chosen == number
            embeddings[here] = view[photos[here]]
        total += trainer.step(embeddings, targets[photos], weights[photos]) * len(photos)
        count += len(photos)
    return total / count


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
