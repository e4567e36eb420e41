"""Embeddings and labels -> a calibrated head, its threshold, and when it is unsure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadclear.metrics.calibration import fit_temperature
from roadclear.model.decision.conformal import UnsureBand, unsure_band
from roadclear.model.decision.threshold import choose_threshold
from roadclear.model.heads import Embeddings, Epoch, FittedHead, Head, Targets, fit_dense, fit_linear, probabilities
from roadclear.training.config import TrainingOptions


@dataclass(frozen=True, eq=False)
class Fit:
    """A head that is ready to judge.

    Attributes:
        head: calibrated; its logits are those of `fitted` divided by the temperature.
        threshold: photos with at least this probability are called positive.
        band: probabilities that are answered with "unsure".
        temperature: that was divided by.
        fitted: the head as it was trained, with its history.
    """

    head: Head
    threshold: float
    band: UnsureBand
    temperature: float
    fitted: FittedHead


def fit(
    kind: str,
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    options: TrainingOptions,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Train a head, then calibrate it and choose its threshold and unsure band on the validation photos.

    See `fit_head` for the arguments.
    """
    return calibrate(fit_head(kind, views, targets, validation, options, on_epoch), validation, options)


def fit_head(
    kind: str,
    views: Sequence[Embeddings],
    targets: Targets,
    validation: tuple[Embeddings, Targets],
    options: TrainingOptions,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> FittedHead:
    """Train a head.

    Args:
        kind: "dense" or "linear".
        views: embeddings of the training photos, one array float32 [n, 1280] a view.
        targets: [n], 1 for the positive class, else 0.
        validation: plain embeddings [m, 1280] and targets [m].
        options: of the training.
        on_epoch: told after every epoch of a dense head.
    """
    if kind == "linear":
        return fit_linear(views, targets, validation, seed=options.seed)
    return fit_dense(
        views,
        targets,
        validation,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        epochs=options.epochs,
        patience=options.patience,
        seed=options.seed,
        on_epoch=on_epoch,
    )


def calibrate(fitted: FittedHead, validation: tuple[Embeddings, Targets], options: TrainingOptions) -> Fit:
    """Calibrate a trained head, and choose its threshold and unsure band.

    Args:
        fitted: the head.
        validation: plain embeddings [m, 1280] and targets [m] of photos that it was not trained on.
        options: of the training.
    """
    embeddings, truth = validation
    temperature = fit_temperature(fitted.head.logits(embeddings), truth)
    head = fitted.head.cooled(temperature)
    probability = probabilities(head, embeddings)
    threshold = choose_threshold(truth == 1, probability, options.aim)
    band = unsure_band(truth == 1, probability, threshold, options.coverage)
    return Fit(head, threshold, band, temperature, fitted)
