"""Decision rules of a trained network, set on photos that the network was not trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadclear.data.split import TRAIN, VALIDATION
from roadclear.model.decision.calibrated import CalibratedHead, HeldOut, calibrate_by
from roadclear.model.decision.ood import Ood, fit_ood
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.training.cross_fit import cross_fit, frozen_scores
from roadclear.training.cross_validation import CrossValidation
from roadclear.training.finetune.blocks import FinetuneResult
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.rows import take
from roadclear.utils.threads import one_thread


@dataclass(frozen=True, eq=False)
class Decision:
    """Decision rules of a model.

    Attributes:
        head: calibrated head, with threshold and unsure band.
        ood: distance to the training photos, with its limit.
        distances: float32 [n], distances of all usable photos to the training photos.
        crossed: cross-validation of the same recipe, on the photos outside the test split; None without cross-fitting.
    """

    head: CalibratedHead
    ood: Ood
    distances: NDArray[np.float32]
    crossed: CrossValidation | None = None


def decide(
    data: PreparedData,
    tuned: FinetuneResult,
    settings: TrainSettings,
    progress: ProgressCallback = no_progress,
    cluster: FinetuneCluster | None = None,
) -> Decision:
    """Set temperature, threshold, unsure band and the limit of unfamiliar photos. Test photos have no part in them.

    With `settings.cross_fit` the first three come from all photos outside the test split, each judged by a model of
    another fold. Otherwise temperature and threshold come from the validation photos. The band of a frozen base then
    comes from a cross-validation of the linear head on the photos outside the test split: the linear head is about as
    good, and five of them train in 0.2 s. Where the head of an earlier model is only adapted, it takes the place of
    the linear head. The band of a fine-tuned base comes from the validation photos.

    Args:
        data: prepared photos.
        tuned: network and trained head.
        settings: aim of the threshold, promise and seed.
        progress: called after every photo and every epoch of cross-fitting.
        cluster: cluster that fine-tunes in cross-fitting; None for this process.

    Raises:
        DatasetError, OptionError, OutputError: see `roadclear.training.cross_fit.cross_fit`.
    """
    crossed = None
    if settings.cross_fit:
        fitted = cross_fit(data, settings, progress, cluster)
        head, crossed = calibrate_by(tuned.head, fitted.held_out, settings), fitted.crossed
    else:
        frozen = tuned.blocks == 0
        head = calibrate_by(
            tuned.head, _validation(data, tuned), settings, frozen_scores(data, settings) if frozen else None
        )
    vectors = tuned.ood_vectors
    known, others = (take(vectors, data.numbers(split)) for split in (TRAIN, VALIDATION))
    ood = fit_ood(known, others, settings.seed, tuned.ood_tensor)
    return Decision(head, ood, ood.distances(vectors), crossed)


def _validation(data: PreparedData, tuned: FinetuneResult) -> HeldOut:
    """Judge the validation photos."""
    embeddings, targets = data.select(VALIDATION, tuned.embeddings)
    with one_thread():
        return HeldOut(tuned.head.head.logits(embeddings), targets, data.groups[data.is_in(VALIDATION)])
