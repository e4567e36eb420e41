"""The head: Dense(512, ReLU) -> Dense(1, sigmoid) on cached embeddings, and its linear reference.

Both are fitted by scikit-learn: the first by `MLPClassifier` (Adam, binary cross-entropy), one epoch at a time
with a random view of every photo, the second by `LogisticRegression`. Labels are balanced by sample weights.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]
Targets = NDArray[np.int64]

HIDDEN_UNITS = 512


@dataclass(frozen=True, eq=False)
class DenseHead:
    """Dense(512, ReLU) -> Dense(1).

    Attributes:
        hidden_kernel: float32 [1280, 512].
        hidden_bias: float32 [512].
        output_kernel: float32 [512].
        output_bias: float32 [].
    """

    hidden_kernel: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output_kernel: NDArray[np.float32]
    output_bias: np.float32

    def logits(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Log-odds of the positive class, float32 [n], of embeddings [n, 1280]."""
        hidden = np.maximum(embeddings @ self.hidden_kernel + self.hidden_bias, 0)
        return np.asarray(hidden @ self.output_kernel + self.output_bias, dtype=np.float32)

    def cooled(self, temperature: float) -> "DenseHead":
        """The head whose logits are these divided by a temperature."""
        factor = np.float32(1 / temperature)
        return replace(self, output_kernel=self.output_kernel * factor, output_bias=self.output_bias * factor)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logistic regression.

    Attributes:
        kernel: float32 [1280].
        bias: float32 [].
    """

    kernel: NDArray[np.float32]
    bias: np.float32

    def logits(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Log-odds of the positive class, float32 [n], of embeddings [n, 1280]."""
        return np.asarray(embeddings @ self.kernel + self.bias, dtype=np.float32)

    def cooled(self, temperature: float) -> "LinearHead":
        """The head whose logits are these divided by a temperature."""
        factor = np.float32(1 / temperature)
        return LinearHead(self.kernel * factor, self.bias * factor)


Head = DenseHead | LinearHead


@dataclass(frozen=True)
class Epoch:
    """One line of the training history; the losses are mean binary cross-entropies in nats."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class FittedHead:
    """A head with the history of its training; `best_epoch` is the one whose weights it has."""

    head: Head
    history: tuple[Epoch, ...]
    best_epoch: int


def fit_dense(
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    patience: int,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FittedHead:
    """Train the head, stop when the validation loss no longer falls, and keep its best epoch.

    Args:
        views: embeddings of the training photos, one array [n, 1280] a view; every epoch takes one of them at
            random for each photo.
        targets: [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m].
        learning_rate: of Adam.
        batch_size: photos a step.
        epochs: at most that many.
        patience: stop after that many epochs without a lower validation loss.
        seed: of the initial weights, the order of photos and the choice of views.
        on_epoch: told after every epoch.

    Returns:
        The head. The same arguments give the same weights on the same machine.
    """
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        (HIDDEN_UNITS,), alpha=0.0, batch_size=min(batch_size, len(targets)),
        learning_rate_init=learning_rate, random_state=seed,
    )  # fmt: skip
    stacked = np.stack(views)
    draw = np.random.default_rng(seed)
    photos = np.arange(len(targets))
    weights = balanced_weights(targets)
    history: list[Epoch] = []
    best = FittedHead(LinearHead(np.zeros(0, np.float32), np.float32(0)), (), 0)
    lowest = np.inf
    with one_thread():
        for number in range(1, epochs + 1):
            chosen = stacked[draw.integers(len(views), size=len(photos)), photos]
            network.partial_fit(chosen, targets, sample_weight=weights, classes=[0, 1])
            head = _dense_head(network)
            epoch = _epoch(number, network.loss_, head, validation)
            history.append(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
            if epoch.validation_loss < lowest:
                lowest, best = epoch.validation_loss, FittedHead(head, (), number)
            elif number - best.best_epoch >= patience:
                break
    return FittedHead(best.head, tuple(history), best.best_epoch)


def fit_linear(
    views: Sequence[Embeddings], targets: Targets, validation: tuple[Embeddings, Targets], *, seed: int
) -> FittedHead:
    """Fit logistic regression on all views, its L2 strength chosen by validation loss.

    The embeddings are standardised for the fit; the scaling is folded into the kernel afterwards.
    See `fit_dense` for the arguments.
    """
    from sklearn.linear_model import LogisticRegression

    stacked = np.concatenate(views)
    mean, std = stacked.mean(axis=0), stacked.std(axis=0) + np.float32(1e-6)
    scaled = (stacked - mean) / std
    repeated = np.tile(targets, len(views))
    weights = balanced_weights(repeated)
    candidates: list[tuple[Epoch, LinearHead]] = []
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a strength that has not converged loses on validation
        for number, strength in enumerate(_INVERSE_STRENGTHS, start=1):
            regression = LogisticRegression(C=strength, max_iter=300, random_state=seed)
            regression.fit(scaled, repeated, sample_weight=weights)
            kernel = regression.coef_[0].astype(np.float32) / std
            head = LinearHead(kernel, np.float32(regression.intercept_[0] - kernel @ mean))
            loss = log_loss(head.logits(stacked), repeated)
            candidates.append((_epoch(number, loss, head, validation), head))
    best, head = min(candidates, key=lambda pair: pair[0].validation_loss)
    return FittedHead(head, tuple(epoch for epoch, _ in candidates), best.epoch)


_INVERSE_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def probabilities(head: Head, embeddings: Embeddings) -> NDArray[np.float64]:
    """P(positive class), float64 [n], of embeddings [n, 1280]; the same on any number of threads."""
    with one_thread():
        return np.asarray(1 / (1 + np.exp(-head.logits(embeddings).astype(np.float64))))


def log_loss(logits: NDArray[np.float32], targets: Targets, weights: NDArray[np.float64] | None = None) -> float:
    """Mean binary cross-entropy in nats of logits [n], stable for logits of any size."""
    return float(np.average(log_losses(logits, targets), weights=weights))


def log_losses(logits: NDArray[np.float32], targets: Targets) -> NDArray[np.float64]:
    """Binary cross-entropy in nats of each of the logits [n]."""
    return np.logaddexp(0, np.where(targets == 1, -logits, logits).astype(np.float64))


def balanced_weights(targets: Targets) -> NDArray[np.float64]:
    """Sample weights [n] of mean 1 that give both labels the same total."""
    counts = np.bincount(targets, minlength=2)
    return np.asarray(len(targets) / (2 * counts[targets]), dtype=np.float64)


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread: with more, sums are rounded in an order that depends on their number.

    The limit is the process's: work on several threads has to be inside one such limit as a whole.
    """
    from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1))


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
