"""Fine-tuning: the top of the network, trained from cached activations. The only room that knows PyTorch.

Importing `trainer`, `network` or `device` needs PyTorch; importing the others does not.
"""

import os
from importlib.util import find_spec

from roadclear.errors import EngineError
from roadclear.training.config import FinetuneSettings

# Read when PyTorch is imported. Threads that spin while they wait for one another make training several times slower
# where other programs use the cores as well, and gain nothing where none do.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def check_ready(settings: FinetuneSettings) -> None:
    """Check, before any work is done, that PyTorch and the device are there if they will be needed.

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
