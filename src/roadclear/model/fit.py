"""Training of heads by scikit-learn: embeddings and targets -> a trained head.

`MLPClassifier` (Adam, binary cross-entropy) trains the dense head, one epoch at a time, with a random view of every
photo. `LogisticRegression` trains the linear head. Sample weights balance the labels.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from roadclear.model.heads import (
    HIDDEN_UNITS,
    DenseHead,
    Epoch,
    Head,
    LinearHead,
    TrainedHead,
    balanced_weights,
    log_loss,
)
from roadclear.model.settings import HeadSettings
from roadclear.utils.arrays import Embeddings, Targets
from roadclear.utils.threads import one_thread


def train_head(
    kind: str,
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedHead:
    """Train a head.

    Args:
        kind: "dense" or "linear".
        views: embeddings of the training photos, one array float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        settings: settings of the training. `kind` takes the place of `settings.head`.
        on_epoch: callback after every epoch of a dense head.
    """
    if kind == "linear":
        return train_linear(views, targets, validation, seed=settings.seed)
    return train_dense(views, targets, validation, settings, on_epoch)


def train_dense(
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainedHead:
    """Train a dense head. Stop when the validation loss no longer falls, and keep the best epoch.

    Args:
        views: embeddings of the training photos, one array float32 [n, 1280] per view. Every epoch draws one view of
            each photo.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        settings: settings of the training. The seed decides the initial weights, the order of photos and the views.
        on_epoch: callback after every epoch.

    Returns:
        The best epoch's head. The same arguments give the same weights on the same machine.
    """
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        (HIDDEN_UNITS,), alpha=0.0, batch_size=min(settings.batch_size, len(targets)),
        learning_rate_init=settings.learning_rate, random_state=settings.seed,
    )  # fmt: skip
    stacked = np.stack(views)
    draw = np.random.default_rng(settings.seed)
    photos = np.arange(len(targets))
    weights = balanced_weights(targets)
    history: list[Epoch] = []
    best = TrainedHead(LinearHead(np.zeros(0, np.float32), np.float32(0)), (), 0)
    lowest = np.inf
    with one_thread():
        for number in range(1, settings.epochs + 1):
            chosen = stacked[draw.integers(len(views), size=len(photos)), photos]
            network.partial_fit(chosen, targets, sample_weight=weights, classes=[0, 1])
            head = _dense_head(network)
            epoch = _epoch(number, network.loss_, head, validation)
            history.append(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
            if epoch.validation_loss < lowest:
                lowest, best = epoch.validation_loss, TrainedHead(head, (), number)
            elif number - best.best_epoch >= settings.patience:
                break
    return TrainedHead(best.head, tuple(history), best.best_epoch)


def train_linear(
    views: Sequence[Embeddings], targets: Targets, validation: tuple[Embeddings, Targets], *, seed: int
) -> TrainedHead:
    """Train logistic regression on all views. The validation loss chooses the L2 strength.

    Embeddings are standardised for training, and the scaling is folded into the kernel afterwards.

    Args:
        views: embeddings of the training photos, one array float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
        seed: random seed of the solver.

    Returns:
        The best head. The history has one entry per L2 strength.
    """
    from sklearn.linear_model import LogisticRegression

    stacked = np.concatenate(views)
    mean, std = stacked.mean(axis=0), stacked.std(axis=0) + np.float32(1e-6)
    scaled = (stacked - mean) / std
    repeated = np.tile(targets, len(views))
    weights = balanced_weights(repeated)
    candidates: list[tuple[Epoch, LinearHead]] = []
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a strength without convergence has a higher validation loss
        for number, strength in enumerate(_INVERSE_STRENGTHS, start=1):
            regression = LogisticRegression(C=strength, max_iter=300, random_state=seed)
            regression.fit(scaled, repeated, sample_weight=weights)
            kernel = regression.coef_[0].astype(np.float32) / std
            head = LinearHead(kernel, np.float32(regression.intercept_[0] - kernel @ mean))
            loss = log_loss(head.logits(stacked), repeated)
            candidates.append((_epoch(number, loss, head, validation), head))
    best, head = min(candidates, key=lambda pair: pair[0].validation_loss)
    return TrainedHead(head, tuple(epoch for epoch, _ in candidates), best.epoch)


_INVERSE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def _dense_head(network: "MLPClassifier") -> DenseHead:  # type: ignore[name-defined]  # noqa: F821
    (hidden_kernel, output_kernel), (hidden_bias, output_bias) = network.coefs_, network.intercepts_
    return DenseHead(
        hidden_kernel.astype(np.float32),
        hidden_bias.astype(np.float32),
        output_kernel[:, 0].astype(np.float32),
        np.float32(output_bias[0]),
    )


def _epoch(number: int, train_loss: float, head: Head, validation: tuple[Embeddings, Targets]) -> Epoch:
    embeddings, targets = validation
    logits = head.logits(embeddings)
    accuracy = float(np.mean((logits > 0) == (targets == 1)))
    loss = log_loss(logits, targets, balanced_weights(targets))
    return Epoch(number, float(train_loss), loss, accuracy)
