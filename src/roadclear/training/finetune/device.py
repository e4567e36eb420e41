"""On which device PyTorch computes, in which type, and how it is kept repeatable there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from roadclear.errors import OptionError
from roadclear.utils.threads import available_cores


def choose_device(name: str) -> torch.device:
    """The device of that name: "cpu", "cuda", "mps", or with "auto" a graphics processor where there is one.

    Raises:
        OptionError: this machine, or this build of PyTorch, does not have it.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(known for known, is_here in here.items() if is_here))
    if not here.get(name, False):
        found = ", ".join(known for known, is_here in here.items() if is_here)
        raise OptionError(
            f"device {name!r} is not available to PyTorch here, found {found}: choose one of these or auto"
        )
    return torch.device(name)


def step_type(device: torch.device) -> torch.dtype:
    """In which the steps of a training are computed: bfloat16 on processors that have it, else float32.

    Weights, and everything that is judged, are float32 anywhere (mixed precision, Micikevicius et al. 2017,
    arXiv:1710.03740; bfloat16 has the range of float32, so the loss needs no scaling).
    """
    has = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if has.get("avx512_bf16") or has.get("amx_bf16") else torch.float32


def computing_key(device: torch.device) -> str:
    """Text that differs wherever the same training may give other numbers: version, device, type, threads."""
    return f"torch-{torch.__version__}/{device}/{step_type(device)}/{available_cores()}"


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """All cores, and the same numbers every time; PyTorch's settings are as before in the end."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.set_num_threads(available_cores())
    # Graphics processors lack some; there the nearest that they have is taken.
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Nothing here reads memory before it is written; filling it would cost a fifth of the time.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warned)
        torch.set_num_threads(threads)
