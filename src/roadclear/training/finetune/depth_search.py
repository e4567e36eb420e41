"""Search for the number of blocks to unfreeze: the best number on validation photos, near a time limit."""

import time
from dataclasses import replace

import numpy as np

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.decision.calibrated import calibrate
from roadclear.model.heads import TrainedHead, balanced_weights, log_losses
from roadclear.training.config import DEPTHS, FinetuneCluster, TrainSettings
from roadclear.training.finetune.blocks import DepthTrial, FinetuneResult, finetune_blocks, frozen_base, recipe_of
from roadclear.training.finetune.device import choose_device
from roadclear.training.finetune.trainer import Network, step_seconds
from roadclear.training.heads import are_few
from roadclear.training.prepare import PreparedData
from roadclear.utils.arrays import Floats
from roadclear.utils.progress import ProgressCallback


def search_depth(
    data: PreparedData,
    head: TrainedHead,
    settings: TrainSettings,
    progress: ProgressCallback,
    cluster: FinetuneCluster | None = None,
) -> FinetuneResult:
    """Fine-tune more and more blocks within the time limit, and keep the best number on validation photos.

    The fewest blocks are always tried, whatever the time limit: a busy machine must not leave the base untouched.

    With few training photos the base stays frozen if fine-tuning does not lower the mean validation loss. With more the
    base stays frozen only if fine-tuning raises the loss by more than the standard error of the difference, because
    fine-tuning helped in every one of 10 folds that were measured. More blocks than the fewest must lower the loss by
    more than the standard error. Few validation photos show no finer difference, and the simpler of two equally good
    models is preferred (rule of one standard error, Breiman et al. 1984, Classification and Regression Trees, section
    3.4.3).

    The tried numbers depend on the speed of the machine. Training with the chosen number as `unfreeze` gives the same
    result.

    Args:
        data: prepared photos.
        head: trained head on the frozen base.
        settings: settings of the training; `finetune_seconds` is the time limit.
        progress: called after every photo and every epoch.
        cluster: cluster that trains; None for this process. The time is estimated from steps of this process.

    Raises:
        DatasetError, OptionError, OutputError: see `roadclear.training.finetune.blocks.finetune_blocks`.
    """
    started = time.perf_counter()
    best = frozen_base(data, head, progress)
    losses = _validation_losses(best, data, settings)
    trials = [DepthTrial(0, float(losses.mean()), 0.0)]
    tried: list[FinetuneResult] = []
    few = are_few(data.select(TRAIN)[1])
    for blocks in DEPTHS:
        begun = time.perf_counter()
        if tried and begun - started + _expected_seconds(blocks, data, head, settings) > settings.finetune_seconds:
            break
        tuned = finetune_blocks(blocks, data, head.head, settings, progress, cluster)
        tuned_losses = _validation_losses(tuned, data, settings)
        trials.append(DepthTrial(blocks, float(tuned_losses.mean()), time.perf_counter() - begun))
        tried.append(tuned)
        if is_preferred(tuned_losses, losses, over_frozen=best.blocks == 0, few=few):
            best, losses = tuned, tuned_losses
    for tuned in tried:
        if tuned is not best:
            tuned.discard_checkpoint()
    return replace(best, trials=tuple(trials))


def _validation_losses(tuned: FinetuneResult, data: PreparedData, settings: TrainSettings) -> Floats:
    """Compute label-balanced losses [m] of the calibrated head on the validation photos."""
    embeddings, targets = data.select(VALIDATION, tuned.embeddings)
    head = calibrate(tuned.head, (embeddings, targets), settings).head
    return log_losses(head.logits(embeddings), targets) * balanced_weights(targets)


def is_preferred(losses: Floats, others: Floats, over_frozen: bool, few: bool) -> bool:
    """Whether a network with losses [m] takes the place of one with other losses of the same photos."""
    if not over_frozen:
        return clearly_lower(losses, others)
    return bool(losses.mean() < others.mean()) if few else not clearly_lower(others, losses)


def clearly_lower(losses: Floats, others: Floats) -> bool:
    """Whether losses [m] are lower on average than other losses of the same photos, by more than a standard error."""
    gains = others - losses
    return bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


def _expected_seconds(blocks: int, data: PreparedData, head: TrainedHead, settings: TrainSettings) -> float:
    """Estimate the duration of a fine-tuning.

    Estimated from a few timed steps and from the extraction time per view in this run, which is zero if all features
    were cached.
    """
    network = Network(data.extractor.space.weights, head.head, blocks, choose_device(settings.device))
    step_s = step_seconds(network, data.extractor.space.size, recipe_of(data, settings))
    training_photos = len(data.numbers(TRAIN))
    steps = settings.finetune_epochs * -(-training_photos // settings.batch_size)
    stats = data.extractor.stats
    view_s = stats.features_s / max(1, stats.inferences)
    views = len(data.photos) + settings.finetune_views * training_photos
    return steps * step_s + views * view_s
