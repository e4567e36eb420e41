"""Fine-tuning: the top of the network, trained from cached activations.

Only modules of this package import PyTorch. Those that plan a training import it when a network is to be trained.
"""

import os
from importlib.util import find_spec

from roadclear.errors import EngineError, OptionError
from roadclear.training.config import AUTO, FinetuneCluster, TrainSettings

# PyTorch reads the variable at import. Threads that spin while waiting make training several times slower when other
# programs use the cores, and no faster otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def check_ready(settings: TrainSettings, cluster: FinetuneCluster | None = None) -> None:
    """Check, before any work, that PyTorch, the device and Ray are available if blocks will be unfrozen.

    Args:
        settings: settings of the training.
        cluster: cluster for the fine-tuning; None for this process.

    Raises:
        EngineError: PyTorch is not installed.
        OptionError: the device is not available, or a cluster cannot be used.
    """
    if settings.unfreeze == 0:
        if cluster is not None:
            raise OptionError("expected blocks to fine-tune on the cluster, found unfreeze = 0: set unfreeze")
        return
    if find_spec("torch") is None:
        raise EngineError("--unfreeze needs PyTorch: pip install 'roadclear[finetune]'")
    from roadclear.training.finetune.device import choose_device

    if cluster is None:
        choose_device(settings.device)
        return
    if settings.device not in (AUTO, "cpu"):
        raise OptionError(f"device must be auto or cpu on a cluster, got {settings.device!r}")
    if not 1 <= cluster.workers <= settings.batch_size:
        raise OptionError(f"workers must be between 1 and the batch size {settings.batch_size}, got {cluster.workers}")
    from roadclear.training.finetune.distributed import import_train

    import_train()
