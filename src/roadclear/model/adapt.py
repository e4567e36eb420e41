"""Adaptation of an earlier head to few photos: only its output layer changes, and is pulled towards what it was.

The features are the hidden units of a dense head, or the embedding of a linear one. The new logit is the old logit
plus a linear function of the standardised features. The function minimises `|kernel|² / 2 + strength * cross-entropy`,
with the cross-entropy summed over photos, and a penalty of the bias. So few photos change the head little, and many
photos decide it. docs/adr/0050-few-photos.md has the measurements behind the constants.

The penalty is that of Evgeniou and Pontil 2004, "Regularized multi-task learning", section 2, and of Li, Grandvalet and
Davoine 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", arXiv:1802.01483 (L2-SP).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roadclear.model.heads import DenseHead, Head, LinearHead, TrainedHead, balanced_weights, measure_epoch, sigmoid
from roadclear.utils.arrays import Embeddings, Floats, Targets
from roadclear.utils.threads import one_thread

STRENGTH = 1.5
"""Strength times the number of features: 0.003 for the 512 units of a dense head."""

BIAS_PENALTY = 2.0
"""Penalty of the change of the bias, as a multiple of the strength. A free bias follows a few odd photos too far."""

_STEPS = 200
_LEAST_SPREAD = 1e-3


def adapt_head(
    start: Head, views: Sequence[Embeddings], targets: Targets, validation: tuple[Embeddings, Targets]
) -> TrainedHead:
    """Adapt the output layer of a head to photos.

    Args:
        start: head of an earlier model with the same labels, on the same embeddings.
        views: embeddings of the training photos, one array float32 [n, 1280] per view.
        targets: int64 [n], 1 for the positive class, else 0. Both labels weigh the same.
        validation: plain embeddings [m, 1280] and targets [m] of the validation photos, which are only measured.

    Returns:
        The adapted head, of the kind of the start. The history has one entry.
    """
    rows = np.concatenate(list(views))
    repeated = np.tile(targets, len(views))
    weights = np.tile(balanced_weights(targets), len(views)) / len(views)
    with one_thread():
        features = _features(start, rows).astype(np.float64)
        mean, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.maximum(spread, _LEAST_SPREAD * (features.std() + 1))
        kernel, bias = _correction((features - mean) / spread, start.logits(rows).astype(np.float64), repeated, weights)
        kernel = kernel / spread
        head = _moved(start, kernel.astype(np.float32), np.float32(bias - mean @ kernel))
        loss = measure_epoch(1, 0.0, head, (rows, repeated)).validation_loss
        return TrainedHead(head, (measure_epoch(1, loss, head, validation),), 1)


def _features(head: Head, embeddings: Embeddings) -> Embeddings:
    """Compute what the output layer of a head reads: float32 [n, features]."""
    if isinstance(head, LinearHead):
        return embeddings
    return np.asarray(np.maximum(embeddings @ head.hidden_kernel + head.hidden_bias, 0))


def _moved(head: Head, kernel: Embeddings, bias: np.float32) -> Head:
    """Add a kernel [features] and a bias to the output layer."""
    if isinstance(head, DenseHead):
        return replace(head, output_kernel=head.output_kernel + kernel, output_bias=np.float32(head.output_bias + bias))
    return LinearHead(head.kernel + kernel, np.float32(head.bias + bias))


def _correction(features: Floats, logits: Floats, targets: Targets, weights: Floats) -> tuple[Floats, float]:
    """Find the kernel [features] and the bias that are added to given logits [rows]."""
    # Imported here, because predicting imports the other heads only.
    from scipy.optimize import minimize

    count = features.shape[1]
    strength = STRENGTH / count

    def loss_and_gradient(values: Floats) -> tuple[float, Floats]:
        kernel, bias = values[:count], values[count]
        corrected = logits + features @ kernel + bias
        losses = np.logaddexp(0, np.where(targets == 1, -corrected, corrected))
        slopes = strength * weights * (sigmoid(corrected) - targets)
        gradient = np.append(features.T @ slopes + kernel, slopes.sum() + strength * BIAS_PENALTY * bias)
        penalty = kernel @ kernel / 2 + strength * BIAS_PENALTY * bias**2 / 2
        return float(penalty + strength * (weights @ losses)), gradient

    found = minimize(loss_and_gradient, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return found.x[:count], float(found.x[count])
