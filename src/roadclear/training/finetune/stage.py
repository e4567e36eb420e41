"""Fine-tuning stage of a training, or the frozen base."""

from roadclear.model.heads import TrainedHead
from roadclear.training.config import AUTO, FinetuneCluster, TrainSettings
from roadclear.training.finetune.blocks import FinetuneResult, finetune_blocks, frozen_base
from roadclear.training.heads import adapted_start
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import ProgressCallback


def finetune(
    data: PreparedData,
    head: TrainedHead,
    settings: TrainSettings,
    progress: ProgressCallback,
    cluster: FinetuneCluster | None = None,
) -> FinetuneResult:
    """Fine-tune the number of blocks in the settings. With 0 the base stays frozen.

    With "auto" the base of a start with these labels stays frozen, too, where there are few training photos: to
    fine-tune it would harm. docs/adr/0050-few-photos.md has the measurements.

    Args:
        data: prepared photos.
        head: head on the frozen base.
        settings: settings of the training.
        progress: called after every photo and every epoch.
        cluster: cluster that trains; None for this process.

    Raises:
        DatasetError, OptionError, OutputError: see `roadclear.training.finetune.blocks.finetune_blocks`.
    """
    keeps_base = adapted_start(data, settings) is not None
    if settings.unfreeze == 0 or (settings.unfreeze == AUTO and keeps_base):
        return frozen_base(data, head, progress)
    if settings.unfreeze == AUTO:
        from roadclear.training.finetune.depth_search import search_depth

        return search_depth(data, head, settings, progress, cluster)
    return finetune_blocks(int(settings.unfreeze), data, head.head, settings, progress, cluster)
