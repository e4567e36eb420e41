"""Logistic regression with an L2 penalty: many problems on the same embeddings, solved together.

A problem is a set of training photos and a strength. The solver is L-BFGS: Liu and Nocedal, "On the limited memory
BFGS method for large scale optimization", Mathematical Programming 45, 1989. All problems take their steps together, so
an iteration reads the embeddings twice, however many problems there are. Time and memory grow linearly with photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadclear.model.heads import sigmoid
from roadclear.utils.arrays import Bools, Embeddings, Floats, Targets

TOLERANCE = 1e-6
"""Norm of the gradient at the end, relative to the norm at zero weights."""

_ITERATIONS = 500
_LINE_SEARCH = 30
_MEMORY = 10
_ROWS = 1024  # squared at once


@dataclass(frozen=True, eq=False)
class Problems:
    """Logistic regressions on the same rows.

    Each minimises `|kernel|² / 2 + strength * (weights @ cross-entropies)` over a kernel on embeddings that are
    standardised by the mean and the standard deviation of the rows with a weight above 0, and over a free bias.

    Attributes:
        views: embeddings of the photos, one array float32 [n, channels] per view. A photo has the same weight in each.
        targets: int64 [n], 1 for the positive class, else 0.
        weights: sample weights, float64 [n, problems]; 0 for a photo that a problem does not train on.
        strengths: inverse L2 strengths, float64 [problems].
    """

    views: Sequence[Embeddings]
    targets: Targets
    weights: Floats
    strengths: Floats


def solve(problems: Problems, tolerance: float = TOLERANCE) -> tuple[Floats, Floats]:
    """Solve logistic regressions.

    Args:
        problems: logistic regressions on the same rows.
        tolerance: norm of the gradient at the end, relative to the norm at zero weights.

    Returns:
        Kernels, float64 [channels, problems], and biases, float64 [problems], for embeddings as they are.
    """
    scale = _standardise(problems)
    solution = _minimise(_Loss.of(problems, scale), tolerance)
    kernels = solution[:-1] / scale.std
    return kernels, solution[-1] - _dots(scale.mean, kernels)


@dataclass(frozen=True, eq=False)
class _Scale:
    """Mean and standard deviation of every channel over the training rows of each problem: float64 [channels, k]."""

    mean: Floats
    std: Floats


def _standardise(problems: Problems) -> _Scale:
    trains, inverse = np.unique(problems.weights > 0, axis=1, return_inverse=True)
    chosen = trains.astype(np.float32)
    rows = len(problems.views) * chosen.sum(axis=0, dtype=np.float64)
    mean = sum(view.T @ chosen for view in problems.views) / rows
    middle = mean.mean(axis=1, dtype=np.float32)  # taken out before squaring, against cancellation
    squares = np.zeros_like(mean)
    for view in problems.views:
        for start in range(0, len(view), _ROWS):
            squares += np.square(view[start : start + _ROWS] - middle).T @ chosen[start : start + _ROWS]
    variance = squares / rows - np.square(mean - middle[:, None])
    std = np.sqrt(np.maximum(variance, 0)) + 1e-6 * (1 + np.abs(mean))  # above the rounding of a constant channel
    return _Scale(mean[:, inverse], std[:, inverse])


@dataclass(frozen=True, eq=False)
class _Loss:
    """Losses of k problems as functions of weights, float64 [channels + 1, k]: standardised kernels, and biases below.

    Attributes:
        views: embeddings of the photos, one array float32 [n, channels] per view.
        targets: float64 [rows, 1] for the rows of all views.
        weights: sample weights times strength, float64 [rows, k].
        scale: standardisation of each problem.
    """

    views: Sequence[Embeddings]
    targets: Floats
    weights: Floats
    scale: _Scale

    @classmethod
    def of(cls, problems: Problems, scale: _Scale) -> "_Loss":
        count = len(problems.views)
        targets = np.tile(problems.targets.astype(np.float64)[:, None], (count, 1))
        return cls(problems.views, targets, np.tile(problems.weights * problems.strengths, (count, 1)), scale)

    def only(self, kept: Bools) -> "_Loss":
        """Keep some of the problems."""
        scale = _Scale(self.scale.mean[:, kept], self.scale.std[:, kept])
        return replace(self, weights=self.weights[:, kept], scale=scale)

    def logits(self, weights: Floats) -> Floats:
        """Compute logits of all rows, float64 [rows, k]."""
        kernels = weights[:-1] / self.scale.std
        single = kernels.astype(np.float32)
        products = np.concatenate([view @ single for view in self.views])
        return np.asarray(products + (weights[-1] - _dots(self.scale.mean, kernels)))

    def slopes(self, logits: Floats) -> Floats:
        """Compute derivatives of the cross-entropies by the logits, float64 [rows, k]."""
        return self.weights * (sigmoid(logits) - self.targets)

    def gradient(self, weights: Floats, slopes: Floats) -> Floats:
        """Compute the gradient by the weights, float64 [channels + 1, k]."""
        total = slopes.sum(axis=0)
        parts = np.split(slopes.astype(np.float32), len(self.views))
        products = sum(view.T @ part for view, part in zip(self.views, parts, strict=True))
        kernels = (products - self.scale.mean * total) / self.scale.std + weights[:-1]
        return np.vstack([kernels, total])


def _minimise(loss: _Loss, tolerance: float) -> Floats:
    """Minimise the losses by L-BFGS, until every gradient is small: float64 [channels + 1, k]."""
    solution = np.zeros((len(loss.scale.mean) + 1, loss.weights.shape[1]))
    state = _State(loss, solution.copy(), np.zeros_like(loss.weights))
    limits = tolerance * np.linalg.norm(state.gradient, axis=0)
    active = np.arange(solution.shape[1])
    for _ in range(_ITERATIONS):
        state.advance()
        solution[:, active] = state.weights
        kept = (np.linalg.norm(state.gradient, axis=0) > limits) & ~state.is_at_rounding()
        if not kept.any():
            break
        if not kept.all():
            state.drop(kept)
            active, limits = active[kept], limits[kept]
    return solution


class _State:
    """Where L-BFGS stands in each problem, and the last steps and their changes of the gradient."""

    def __init__(self, loss: _Loss, weights: Floats, logits: Floats) -> None:
        self.loss, self.weights, self.logits = loss, weights, logits
        self.gradient = loss.gradient(weights, loss.slopes(logits))
        self._pairs: list[_Pair] = []

    def drop(self, kept: Bools) -> None:
        """Keep some of the problems."""
        self.loss = self.loss.only(kept)
        self.weights, self.logits, self.gradient = (
            each[:, kept] for each in (self.weights, self.logits, self.gradient)
        )  # fmt: skip
        self._pairs = [_Pair(pair.step[:, kept], pair.change[:, kept], pair.product[kept]) for pair in self._pairs]

    def is_at_rounding(self) -> Bools:
        """Find problems whose last change of the gradient is rounding: bool [k]. The penalty alone gives more."""
        pair = self._pairs[-1]
        return np.asarray(pair.product <= 0.5 * _dots(pair.step[:-1], pair.step[:-1]))

    def advance(self) -> None:
        """Take one step in every problem."""
        direction = self._direction()
        by_row = self.loss.logits(direction)
        length, slopes = self._search(direction, by_row)
        step = length * direction
        self.weights, self.logits = self.weights + step, self.logits + length * by_row
        gradient = self.loss.gradient(self.weights, slopes)
        change = gradient - self.gradient
        self.gradient = gradient
        self._pairs = [*self._pairs, _Pair(step, change, _dots(step, change))][-_MEMORY:]

    def _direction(self) -> Floats:
        """Multiply the gradient by the approximate inverse Hessian (the two-loop recursion), and turn it around."""
        direction: Floats = -self.gradient
        if not self._pairs:
            return np.asarray(direction / np.maximum(1, np.linalg.norm(direction, axis=0)))
        shares = []
        for pair in reversed(self._pairs):
            shares.append(_dots(pair.step, direction) / pair.product)
            direction -= shares[-1] * pair.change
        last = self._pairs[-1]
        direction *= last.product / _dots(last.change, last.change)
        for pair, share in zip(self._pairs, reversed(shares), strict=True):
            direction += (share - _dots(pair.change, direction) / pair.product) * pair.step
        return direction

    def _search(self, direction: Floats, by_row: Floats) -> tuple[Floats, Floats]:
        """Find the length of the step in every problem, and the slopes of the cross-entropies there.

        The loss is convex, so a step is good where the slope along the direction has come near enough to zero. Logits
        along the direction are known, so a trial reads no embeddings.
        """
        first = _dots(self.gradient, direction)
        kernels, change = self.weights[:-1], direction[:-1]
        constant, linear = _dots(kernels, change), _dots(change, change)
        low, high = np.zeros_like(first), np.full_like(first, np.inf)
        length = np.ones_like(first)
        for _ in range(_LINE_SEARCH):
            slopes = self.loss.slopes(self.logits + length * by_row)
            slope = constant + length * linear + _dots(slopes, by_row)
            too_far, too_near = slope > -0.5 * first, slope < 0.9 * first
            if not (too_far | too_near).any():
                break
            high, low = np.where(too_far, length, high), np.where(too_near, length, low)
            between = np.where(np.isinf(high), 2 * length, (low + high) / 2)
            length = np.where(too_far | too_near, between, length)
        return length, slopes


@dataclass(frozen=True, eq=False)
class _Pair:
    """A step and its change of the gradient, float64 [channels + 1, k], and their products, float64 [k]."""

    step: Floats
    change: Floats
    product: Floats


def _dots(a: Floats, b: Floats) -> Floats:
    """Dot products of columns, float64 [k]."""
    return np.asarray(np.einsum("ij,ij->j", a, b))
