"""Fine-tuning stage of a training, or the frozen base."""

from roadclear.training.config import AUTO, TrainSettings
from roadclear.training.finetune.blocks import FinetuneResult, finetune_blocks, frozen_base
from roadclear.training.heads import TrainedHeads
from roadclear.training.prepare import PreparedData
from roadclear.utils.progress import ProgressCallback


def finetune(
    data: PreparedData, heads: TrainedHeads, settings: TrainSettings, progress: ProgressCallback
) -> FinetuneResult:
    """Fine-tune the number of blocks in the settings. With 0 the base stays frozen.

    Args:
        data: prepared photos.
        heads: heads on the frozen base.
        settings: settings of the training.
        progress: called after every photo and every epoch.

    Raises:
        DatasetError, OptionError, OutputError: see `roadclear.training.finetune.blocks.finetune_blocks`.
    """
    if settings.unfreeze == AUTO:
        from roadclear.training.finetune.depth_search import search_depth

        return search_depth(data, heads.chosen, settings, progress)
    if settings.unfreeze == 0:
        return frozen_base(data, heads.chosen)
    return finetune_blocks(int(settings.unfreeze), data, heads.chosen.head, settings, progress)
