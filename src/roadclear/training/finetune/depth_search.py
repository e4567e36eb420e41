"""How many blocks to unfreeze: what does best on validation, of what there is time for."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.fit import calibrate
from roadclear.model.heads import Embeddings, FittedHead, balanced_weights, log_losses
from roadclear.training.config import TrainingOptions
from roadclear.training.finetune.stage import Frozen, Unfrozen, recipe_of, unfreeze
from roadclear.training.prepare import Report

Floats = NDArray[np.float64]

DEPTHS = (4, 8, 11)
"""Numbers of blocks that are tried, in this order."""


@dataclass(frozen=True)
class Trial:
    """A number of unfrozen blocks that was tried.

    Attributes:
        blocks: that many; 0 is the frozen base.
        validation_loss: of the calibrated model, both labels weighing the same, in nats.
        seconds: that it took to fine-tune.
    """

    blocks: int
    validation_loss: float
    seconds: float


def unfreeze_best(
    fitted: FittedHead, frozen: Frozen, options: TrainingOptions, report: Report
) -> tuple[Unfrozen | None, tuple[Trial, ...]]:
    """Fine-tune ever more blocks as long as there is time, and keep what does best on validation.

    The base stays frozen where fine-tuning does not lower the mean validation loss. More blocks than the fewest are
    only kept where they lower it by more than the standard error of the difference: few photos tell no finer, and of
    two that do as well the simpler is to be preferred (the rule of one standard error, Breiman et al. 1984,
    Classification and Regression Trees, section 3.4.3).

    What is tried depends on how fast the machine is. The number that is chosen gives the same result again.

    Args:
        fitted: the head on the frozen base.
        frozen: the same, with its photos.
        options: of the training; its `finetune_seconds` are the time that there is.
        report: told about progress.

    Returns:
        The best; None where that is the frozen base, or there was no time for more. And what was tried.

    Raises:
        DatasetError, OptionError, OutputError: see `roadclear.training.finetune.stage.unfreeze`.
    """
    started = time.perf_counter()
    best: Unfrozen | None = None
    losses = _validation_losses(fitted, frozen.placement.embeddings, frozen, options)
    trials = [Trial(0, float(losses.mean()), 0.0)]
    checkpoints = []
    for blocks in DEPTHS:
        begun = time.perf_counter()
        if begun - started + _expected_seconds(blocks, frozen, options) > options.finetune_seconds:
            break
        tuned = unfreeze(blocks, frozen, options, report)
        found = _validation_losses(tuned.fitted, tuned.embeddings, frozen, options)
        trials.append(Trial(blocks, float(found.mean()), time.perf_counter() - begun))
        checkpoints.append(tuned.checkpoint)
        if clearly_lower(found, losses) or (best is None and found.mean() < losses.mean()):
            best, losses = tuned, found
    for checkpoint in checkpoints:
        if best is None or checkpoint != best.checkpoint:
            checkpoint.unlink(missing_ok=True)
    return best, tuple(trials)


def _validation_losses(fitted: FittedHead, embeddings: Embeddings, frozen: Frozen, options: TrainingOptions) -> Floats:
    """Losses [m] of a head, once it is calibrated, on the validation part of all photos' embeddings [n, 1280]."""
    chosen = frozen.photos(VALIDATION)
    truth = frozen.targets[chosen]
    head = calibrate(fitted, (embeddings[chosen], truth), options).head
    return log_losses(head.logits(embeddings[chosen]), truth) * balanced_weights(truth)


def clearly_lower(losses: Floats, others: Floats) -> bool:
    """Whether losses [m] are on average lower than others of the same photos, by more than a standard error."""
    gains = others - losses
    return bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


def _expected_seconds(blocks: int, frozen: Frozen, options: TrainingOptions) -> float:
    """By the pace of some steps, and that at which the frozen base read the photos: none where they were cached."""
    from roadclear.training.finetune.device import choose_device
    from roadclear.training.finetune.trainer import step_seconds

    weights, device = frozen.extractor.space.weights, choose_device(options.device)
    a_step = step_seconds(weights, frozen.head, blocks, options.size, recipe_of(options), device)
    learned_from = len(frozen.photos(TRAIN))
    steps = options.finetune_epochs * -(-learned_from // options.batch_size)
    effort = frozen.extractor.effort
    a_view = effort.features_s / max(1, effort.inferences)
    views = len(frozen.placement.photos) + options.finetune_views * learned_from
    return steps * a_step + views * a_view
