"""Fine-tuning: the top of the network, trained from cached activations.

Only `trainer`, `network` and `device` import PyTorch, and no other module of the package does.
"""

import os
from importlib.util import find_spec

from roadclear.errors import EngineError
from roadclear.training.config import FinetuneSettings

# PyTorch reads the variable at import. Threads that spin while waiting make training several times slower when other
# programs use the cores, and no faster otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def check_ready(settings: FinetuneSettings) -> None:
    """Check, before any work, that PyTorch and the device are available if blocks will be unfrozen.

    Raises:
        EngineError: PyTorch is not installed.
        OptionError: the device is not available.
    """
    if settings.unfreeze == 0:
        return
    if find_spec("torch") is None:
        raise EngineError("--unfreeze needs PyTorch: pip install 'roadclear[finetune]'")
    from roadclear.training.finetune.device import choose_device

    choose_device(settings.device)
