"""Training of Dense(512, ReLU) -> Dense(1, sigmoid) by Adam, in float32 and in place."""

import numpy as np
from numpy.typing import NDArray

from roadclear.model.heads import HIDDEN_UNITS, DenseHead, log_losses, sigmoid
from roadclear.utils.arrays import Embeddings, Floats, Targets

_DECAY, _SQUARED_DECAY, _EPSILON = 0.9, 0.999, 1e-8


class DenseTrainer:
    """The weights of a dense head, and Adam's moments of their gradients.

    All weights lie in one float32 vector, so that a step of Adam is a few operations on whole vectors.

    Adam: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with the order of
    computation of section 2: the rate has the bias correction, as in Keras and scikit-learn.

    Args:
        start: head to begin with. Its weights are copied.
        rate: learning rate.
    """

    def __init__(self, start: DenseHead, rate: float) -> None:
        parts = (start.hidden_kernel, start.hidden_bias, start.output_kernel, np.reshape(start.output_bias, 1))
        self._weights = np.concatenate([part.ravel() for part in parts]).astype(np.float32)
        self._gradient, self._mean, self._square, self._scratch = np.zeros((4, len(self._weights)), np.float32)
        shapes = [part.shape for part in parts]
        self._kernel, self._bias, self._output, self._output_bias = _split(self._weights, shapes)
        self._by_kernel, self._by_bias, self._by_output, self._by_output_bias = _split(self._gradient, shapes)
        self._rate, self._steps = rate, 0

    def head(self) -> DenseHead:
        """Copy the present weights into a head."""
        return DenseHead(
            self._kernel.copy(), self._bias.copy(), self._output.copy(), np.float32(self._output_bias[0])
        )  # fmt: skip

    def step(self, embeddings: Embeddings, targets: Targets, weights: Floats) -> float:
        """Take one step of Adam on a batch.

        Args:
            embeddings: float32 [n, 1280].
            targets: int64 [n], 1 for the positive class, else 0.
            weights: sample weights, float64 [n].

        Returns:
            Weighted mean of the binary cross-entropy before the step, in nats.
        """
        loss = self._backpropagate(embeddings, targets, weights)
        self._update()
        return loss

    def _backpropagate(self, embeddings: Embeddings, targets: Targets, weights: Floats) -> float:
        """Compute the gradient of the weighted mean of the binary cross-entropy. Return the loss."""
        hidden = embeddings @ self._kernel
        hidden += self._bias
        np.maximum(hidden, 0, out=hidden)
        logits = hidden @ self._output + self._output_bias
        shares = weights / weights.sum()
        by_logit = (sigmoid(logits) - targets) * shares
        by_logit = by_logit.astype(np.float32)
        np.matmul(by_logit, hidden, out=self._by_output)
        self._by_output_bias[0] = by_logit.sum()
        by_hidden = np.outer(by_logit, self._output)
        by_hidden *= hidden > 0
        np.matmul(embeddings.T, by_hidden, out=self._by_kernel)
        np.sum(by_hidden, axis=0, out=self._by_bias)
        return float(log_losses(logits, targets) @ shares)

    def _update(self) -> None:
        self._steps += 1
        correction = np.sqrt(1 - _SQUARED_DECAY**self._steps) / (1 - _DECAY**self._steps)
        gradient, scratch = self._gradient, self._scratch
        self._mean *= np.float32(_DECAY)
        np.multiply(gradient, np.float32(1 - _DECAY), out=scratch)
        self._mean += scratch
        self._square *= np.float32(_SQUARED_DECAY)
        np.square(gradient, out=scratch)
        scratch *= np.float32(1 - _SQUARED_DECAY)
        self._square += scratch
        np.sqrt(self._square, out=scratch)
        scratch += np.float32(_EPSILON)
        np.divide(self._mean, scratch, out=scratch)
        scratch *= np.float32(self._rate * correction)
        self._weights -= scratch


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
