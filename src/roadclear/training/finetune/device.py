"""PyTorch device: choice, number type, and repeatable results."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from roadclear.errors import OptionError
from roadclear.utils.threads import available_cores


def choose_device(name: str) -> torch.device:
    """Choose a device by name: "cpu", "cuda" or "mps"; "auto" prefers a graphics processor.

    Raises:
        OptionError: this machine, or this build of PyTorch, does not have the device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(known for known, is_there in available.items() if is_there))
    if not available.get(name, False):
        found = ", ".join(known for known, is_there in available.items() if is_there)
        raise OptionError(
            f"device {name!r} is not available to PyTorch here, found {found}: choose one of these or auto"
        )
    return torch.device(name)


def step_type(device: torch.device) -> torch.dtype:
    """Choose the number type of training steps: bfloat16 on processors with bfloat16 instructions, else float32.

    Epochs are compared in the type of the steps. Weights and results are always float32 (mixed precision,
    Micikevicius et al. 2017, arXiv:1710.03740). bfloat16 has the range of float32, so the loss needs no scaling.
    """
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if has_bf16 else torch.float32


def computing_key(device: torch.device) -> str:
    """Make a key of everything that may change a training's numbers: PyTorch version, device, type, threads."""
    return f"torch-{torch.__version__}/{device}/{step_type(device)}/{available_cores()}"


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Use all cores and repeatable algorithms, and restore PyTorch's settings at the end."""
    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.set_num_threads(available_cores())
    # Graphics processors lack some repeatable algorithms. PyTorch then warns, and does not fail. The function
    # `use_deterministic_algorithms` does the same, and imports PyTorch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    # No code here reads uninitialized memory. Filling the memory would take a fifth of the time.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads)
