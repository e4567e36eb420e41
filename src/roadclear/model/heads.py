"""Heads on embeddings: Dense(512, ReLU) -> Dense(1, sigmoid), and logistic regression. Losses and sample weights."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from roadclear.utils.arrays import Embeddings, Targets
from roadclear.utils.rows import Rows, by_blocks
from roadclear.utils.threads import one_thread

HIDDEN_UNITS = 512

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class DenseHead:
    """Dense(512, ReLU) -> Dense(1).

    Attributes:
        hidden_kernel: weights of the hidden layer, float32 [1280, 512].
        hidden_bias: bias of the hidden layer, float32 [512].
        output_kernel: weights of the output, float32 [512].
        output_bias: bias of the output, float32 [].
    """

    hidden_kernel: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output_kernel: NDArray[np.float32]
    output_bias: np.float32

    def logits(self, embeddings: Rows) -> NDArray[np.float32]:
        """Compute log-odds of the positive class, float32 [n], of embeddings [n, 1280]."""
        return by_blocks(self._logits, embeddings)

    def _logits(self, embeddings: Embeddings) -> NDArray[np.float32]:
        hidden = np.maximum(embeddings @ self.hidden_kernel + self.hidden_bias, 0)
        return np.asarray(hidden @ self.output_kernel + self.output_bias, dtype=np.float32)

    def with_temperature(self, temperature: float) -> "DenseHead":
        """Make a head with logits divided by a temperature."""
        factor = np.float32(1 / temperature)
        return replace(self, output_kernel=self.output_kernel * factor, output_bias=self.output_bias * factor)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logistic regression.

    Attributes:
        kernel: weights of the output, float32 [1280].
        bias: bias of the output, float32 [].
    """

    kernel: NDArray[np.float32]
    bias: np.float32

    def logits(self, embeddings: Rows) -> NDArray[np.float32]:
        """Compute log-odds of the positive class, float32 [n], of embeddings [n, 1280]."""
        return by_blocks(self._logits, embeddings)

    def _logits(self, embeddings: Embeddings) -> NDArray[np.float32]:
        return np.asarray(embeddings @ self.kernel + self.bias, dtype=np.float32)

    def with_temperature(self, temperature: float) -> "LinearHead":
        """Make a head with logits divided by a temperature."""
        factor = np.float32(1 / temperature)
        return LinearHead(self.kernel * factor, self.bias * factor)


Head = DenseHead | LinearHead


@dataclass(frozen=True)
class Epoch:
    """One epoch of the training history. Losses are mean binary cross-entropies in nats."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float


class GivesLogits(Protocol):
    """A head, or what trains a head."""

    def logits(self, embeddings: Rows) -> NDArray[np.float32]:
        """Compute log-odds of the positive class, float32 [n], of embeddings [n, 1280]."""
        ...


def measure_epoch(number: int, train_loss: float, head: GivesLogits, validation: tuple[Rows, Targets]) -> Epoch:
    """Measure a head on validation photos. The validation loss gives both labels the same weight.

    Args:
        number: number of the epoch.
        train_loss: loss on the training photos.
        head: head after the epoch, or its trainer.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos.
    """
    embeddings, targets = validation
    logits = head.logits(embeddings)
    accuracy = float(np.mean((logits > 0) == (targets == 1)))
    return Epoch(number, train_loss, log_loss(logits, targets, balanced_weights(targets)), accuracy)


@dataclass(frozen=True)
class TrainedHead:
    """A head with the history of its training. The head has the weights of `best_epoch`."""

    head: Head
    history: tuple[Epoch, ...]
    best_epoch: int


def probabilities(head: Head, embeddings: Rows) -> NDArray[np.float64]:
    """Compute P(positive class), float64 [n], of embeddings [n, 1280]; the same on any number of threads."""
    with one_thread():
        return np.asarray(1 / (1 + np.exp(-head.logits(embeddings).astype(np.float64))))


def sigmoid(logits: NDArray[Real]) -> NDArray[Real]:
    """Compute the logistic function of logits of any size and shape, without overflow."""
    return np.asarray((np.tanh(logits / 2) + 1) / 2)


def log_loss(logits: NDArray[np.float32], targets: Targets, weights: NDArray[np.float64] | None = None) -> float:
    """Compute the mean binary cross-entropy in nats of logits [n], stable for logits of any size."""
    return float(np.average(log_losses(logits, targets), weights=weights))


def log_losses(logits: NDArray[np.float32] | NDArray[np.float64], targets: Targets) -> NDArray[np.float64]:
    """Compute the binary cross-entropy in nats of logits, float64, of any shape that broadcasts with the targets."""
    return np.logaddexp(0, np.where(targets == 1, -logits, logits).astype(np.float64))


def balanced_weights(targets: Targets, sources: Sequence[str | None] = ()) -> NDArray[np.float64]:
    """Compute sample weights with mean 1 that give both labels the same total.

    Args:
        targets: int64 [n], 1 for the positive class, else 0.
        sources: [n] sources of the photos. Within a label, a photo of a source with k photos weighs 1 / sqrt(k), so
            that one large source does not decide alone. Photos without a source count as one source. Without sources
            all photos of a label weigh the same.

    Returns:
        float64 [n].
    """
    photos = Counter(sources)
    weights = np.array([photos[source] ** -0.5 for source in sources]) if photos else np.ones(len(targets))
    return np.asarray(len(targets) / 2 * weights / np.bincount(targets, weights, minlength=2)[targets])
