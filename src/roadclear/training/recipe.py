"""Recipe of a training: a labelled dataset -> a trained and measured model."""

import time
from collections.abc import Mapping
from dataclasses import replace

from roadclear.data.dataset import Dataset
from roadclear.data.split import SHARES
from roadclear.features.cache import FeatureCache
from roadclear.training.config import FinetuneCluster, TrainSettings
from roadclear.training.decide import decide
from roadclear.training.finetune import check_ready
from roadclear.training.finetune.stage import finetune
from roadclear.training.heads import fit_heads
from roadclear.training.measure import measure
from roadclear.training.prepare import prepare, resolve_base
from roadclear.training.result import TrainingResult
from roadclear.training.stopwatch import Stopwatch
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.threads import one_thread


def train(
    dataset: Dataset,
    settings: TrainSettings,
    cache: FeatureCache,
    progress: ProgressCallback = no_progress,
    shares: Mapping[str, float] = SHARES,
    cluster: FinetuneCluster | None = None,
) -> TrainingResult:
    """Train on a labelled dataset, and test on held-out photos.

    Unusable photos are skipped and listed. The same photos, settings and machine give the same model, with a cold or a
    warm cache.

    Args:
        dataset: labelled photos, from `roadclear.data.dataset.load_folder`.
        settings: settings of the training.
        cache: feature cache.
        progress: called with the stage, the finished amount and the total amount.
        shares: split -> requested share of the photos. "train" and "validation" are needed.
        cluster: Ray cluster that fine-tunes; None for this process.

    Raises:
        DatasetError: a label has too few photos, or a split would lack a label.
        OptionError, WeightsError, EngineError, OutputError: see `roadclear.errors`.
    """
    started = time.perf_counter()
    check_ready(settings, cluster)
    data = prepare(dataset, settings, cache, progress, shares)
    watch = Stopwatch(data.extractor.stats)
    with watch.stage("head_s"):
        heads = fit_heads(data, settings, progress)
    with watch.stage("finetune_s"):
        tuned = finetune(data, heads.chosen, settings, progress, cluster)
    settings = replace(
        resolve_base(settings, data),
        positive=data.positive,
        unfreeze=tuned.blocks,
        precision=data.extractor.space.precision,
    )
    with one_thread():  # on one core and on many, numbers are the same to the bit
        decision = decide(data, tuned, settings, progress, cluster)
        result = measure(data, heads, tuned, decision, settings)
    tuned.discard_checkpoint()
    timing = watch.timing(len(dataset.photos), time.perf_counter() - started)
    return replace(result, timing=timing, workers=cluster.workers if cluster is not None else None)
