"""Training of Dense(512, ReLU) -> Dense(1, sigmoid) by Adam, in float32 and in place."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from roadclear.model.heads import HIDDEN_UNITS, DenseHead, log_losses, sigmoid
from roadclear.utils.arrays import Embeddings, Floats, Targets
from roadclear.utils.rows import Rows
from roadclear.utils.threads import Pair

_BLOCKS = slice(0, HIDDEN_UNITS // 2), slice(HIDDEN_UNITS // 2, HIDDEN_UNITS)
_DECAY, _SQUARED_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class DenseTrainer:
    """The weights of a dense head, and Adam's moments of their gradients.

    The hidden units lie in two blocks, whatever the number of threads. Each block has its own weights and moments, so
    two threads work side by side and give the bits of one thread.

    Adam: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with the order of
    computation of section 2: the rate has the bias correction, as in Keras and scikit-learn.

    Args:
        start: head to begin with. Its weights are copied.
        rate: learning rate.
        pair: threads that work on the blocks.
    """

    def __init__(self, start: DenseHead, rate: float, pair: Pair) -> None:
        self._blocks = tuple(_Block(start, units) for units in _BLOCKS)
        self._output_bias = _Weights([np.reshape(start.output_bias, 1)])
        self._rate, self._pair, self._steps = rate, pair, 0

    def head(self) -> DenseHead:
        """Copy the present weights into a head."""
        first, second = self._blocks
        return DenseHead(
            np.concatenate((first.kernel, second.kernel), axis=1),
            np.concatenate((first.bias, second.bias)),
            np.concatenate((first.output, second.output)),
            np.float32(self._output_bias.values[0]),
        )

    def logits(self, embeddings: Rows) -> NDArray[np.float32]:
        """Compute log-odds of the positive class by the present weights, float32 [n], of embeddings [n, 1280]."""
        first, second = self._blocks
        rows = embeddings[:]
        self._pair.do(lambda: first.forward(rows), lambda: second.forward(rows))
        return np.asarray(first.logits() + second.logits() + self._output_bias.values)

    def step(self, embeddings: Embeddings, targets: Targets, weights: Floats) -> float:
        """Take one step of Adam on a batch.

        Args:
            embeddings: float32 [n, 1280].
            targets: int64 [n], 1 for the positive class, else 0.
            weights: sample weights, float64 [n].

        Returns:
            Weighted mean of the binary cross-entropy before the step, in nats.
        """
        logits = self.logits(embeddings)
        shares = weights / weights.sum()
        by_logit = ((sigmoid(logits) - targets) * shares).astype(np.float32)
        size = self._next_size()
        first, second = self._blocks
        self._output_bias.gradient[0] = by_logit.sum()
        self._output_bias.update(size)
        self._pair.do(
            lambda: first.backward(embeddings, by_logit, size), lambda: second.backward(embeddings, by_logit, size)
        )
        return float(log_losses(logits, targets) @ shares)

    def _next_size(self) -> float:
        """Compute the learning rate of the next step, with the correction of the bias of the moments."""
        self._steps += 1
        return self._rate * math.sqrt(1 - _SQUARED_DECAY**self._steps) / (1 - _DECAY**self._steps)


class _Weights:
    """Weights in one float32 vector, so that a step of Adam is a few operations on whole vectors.

    The moments are kept without their factors, 1 - decay, which saves two passes over the vectors.
    """

    def __init__(self, parts: Sequence[NDArray[np.float32]]) -> None:
        self.values = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
        self.gradient, self._mean, self._square, self._scratch = np.zeros((4, len(self.values)), np.float32)

    def update(self, size: float) -> None:
        """Take one step of Adam.

        Args:
            size: learning rate with the correction of the bias.
        """
        scratch, root = self._scratch, math.sqrt(1 - _SQUARED_DECAY)
        self._mean *= np.float32(_DECAY)
        self._mean += self.gradient
        self._square *= np.float32(_SQUARED_DECAY)
        np.square(self.gradient, out=scratch)
        self._square += scratch
        np.sqrt(self._square, out=scratch)
        scratch += np.float32(_EPSILON / root)
        np.divide(self._mean, scratch, out=scratch)
        scratch *= np.float32(size * (1 - _DECAY) / root)
        self.values -= scratch


class _Block(_Weights):
    """Some of the hidden units, with their kernel, bias, and output kernel."""

    def __init__(self, start: DenseHead, units: slice) -> None:
        parts = [start.hidden_kernel[:, units], start.hidden_bias[units], start.output_kernel[units]]
        super().__init__(parts)
        shapes = [part.shape for part in parts]
        self.kernel, self.bias, self.output = _split(self.values, shapes)
        self.by_kernel, self.by_bias, self.by_output = _split(self.gradient, shapes)
        self._hidden = np.zeros((0, len(self.bias)), np.float32)

    def forward(self, embeddings: Embeddings) -> None:
        """Compute the values of the hidden units, float32 [n, units]."""
        self._hidden = embeddings @ self.kernel
        self._hidden += self.bias
        np.maximum(self._hidden, 0, out=self._hidden)

    def logits(self) -> NDArray[np.float32]:
        """Compute what the units add to the logits, float32 [n]."""
        return np.asarray(self._hidden @ self.output)

    def backward(self, embeddings: Embeddings, by_logit: NDArray[np.float32], size: float) -> None:
        """Compute the gradient, and take a step.

        Args:
            embeddings: float32 [n, 1280] of `forward`.
            by_logit: derivatives of the loss by the logits, float32 [n].
            size: see `update`.
        """
        np.matmul(by_logit, self._hidden, out=self.by_output)
        by_hidden = np.outer(by_logit, self.output)
        by_hidden *= self._hidden > 0
        np.matmul(embeddings.T, by_hidden, out=self.by_kernel)
        np.sum(by_hidden, axis=0, out=self.by_bias)
        self.update(size)


def initial_head(channels: int, draw: np.random.Generator) -> DenseHead:
    """Draw a head: Glorot-uniform kernels and biases of zero.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.

    Args:
        channels: number of channels of the embeddings.
        draw: random generator.
    """
    return DenseHead(
        _glorot(draw, channels, HIDDEN_UNITS),
        np.zeros(HIDDEN_UNITS, np.float32),
        _glorot(draw, HIDDEN_UNITS, 1)[:, 0],
        np.float32(0),
    )


def _glorot(draw: np.random.Generator, inputs: int, outputs: int) -> NDArray[np.float32]:
    bound = np.sqrt(6 / (inputs + outputs))
    return draw.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)


def _split(vector: NDArray[np.float32], shapes: list[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    """Cut a vector into arrays of the shapes that share its memory."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
