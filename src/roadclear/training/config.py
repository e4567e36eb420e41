"""Every option of a training, gathered from the rooms that declare them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from roadclear.data.settings import GroupSettings, LabelSettings, SourceSettings, SplitSettings
from roadclear.features.settings import EngineSettings, FeatureSettings
from roadclear.images.settings import AugmentSettings
from roadclear.model.settings import DecisionSettings, HeadSettings
from roadclear.utils.settings import SeedSettings, Setting, Settings

AUTO = "auto"
DEPTHS = (4, 8, 11)
"""Numbers of blocks that `unfreeze="auto"` tries, in order."""

DEVICES = (AUTO, "cpu", "cuda", "mps")


@dataclass(kw_only=True)
class FinetuneSettings(Settings):
    """Fine-tuning of the last blocks of the base network."""

    panel: ClassVar[str] = "Fine-tuning"

    unfreeze: Annotated[
        int | str,
        Setting(
            "Number of last blocks of the base network to fine-tune (needs PyTorch). auto chooses by validation loss.",
            ge=0,
            le=17,
            choices=(AUTO,),
            unit="blocks",
        ),
    ] = 0
    finetune_views: Annotated[int, Setting("Augmented views per training photo for fine-tuning.", ge=0, le=64)] = 2
    finetune_seconds: Annotated[float, Setting("Approximate time limit of --unfreeze auto, in seconds.", gt=0)] = 50.0
    finetune_epochs: Annotated[int, Setting("Maximum number of fine-tuning epochs.", ge=1, le=10_000)] = 8
    finetune_learning_rate: Annotated[
        float,
        Setting(
            "Peak AdamW learning rate of the last block. Earlier blocks get lower rates. A model in --weights that was "
            "fine-tuned before gets a quarter.",
            gt=0,
            le=1,
        ),
    ] = 1e-3
    balance_sources: Annotated[
        bool,
        Setting(
            "Weigh a photo less in fine-tuning where its source has many photos. Meant for photos of sources that the "
            "training lacks."
        ),
    ] = False
    device: Annotated[str, Setting("PyTorch device for fine-tuning.", choices=DEVICES)] = AUTO


@dataclass(frozen=True)
class FinetuneCluster:
    """Ray cluster for fine-tuning. Where a network is trained is no setting of the training.

    Attributes:
        workers: number of processes, which share every minibatch. Each takes one core.
        checkpoints: folder or address that all machines of the cluster can write; None for a folder beside the feature
            cache, which suits a cluster on one machine.
    """

    workers: int = 2
    checkpoints: str | None = None


@dataclass(kw_only=True)
class PrepareSettings(
    EngineSettings, AugmentSettings, GroupSettings, FeatureSettings, SeedSettings, SourceSettings, LabelSettings
):
    """Settings that decide how photos are read, embedded, grouped and split."""


# Bases stand in reverse: a dataclass takes the fields of its last base first, and config.toml keeps their order.
@dataclass(kw_only=True)
class TrainSettings(
    PrepareSettings,
    EngineSettings,
    DecisionSettings,
    FinetuneSettings,
    HeadSettings,
    AugmentSettings,
    GroupSettings,
    SplitSettings,
    FeatureSettings,
    SeedSettings,
    SourceSettings,
    LabelSettings,
):
    """Settings of a training. The defaults are MobileNetV2 with frozen weights, and a dense head.

    Every option is declared once, in the room that uses the option. `roadclear train --help` and docs/options.md list
    all options.

    Example:
        >>> TrainSettings(head="linear", seed=1).head
        'linear'

    Raises:
        OptionError: a value is out of its range.
    """
