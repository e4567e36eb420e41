"""Processes that train one network together: each computes its share of every minibatch, and all share the gradients.

The minibatches, their order and the schedule are those of one process. So several processes give what one process
gives, up to the rounding of sums. The parts of the trained network that normalize are folded into convolutions, so no
statistic depends on the minibatch.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Peers(Protocol):
    """Processes that train one network together, as one of the processes sees them.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    @property
    def rank(self) -> int: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def average(self, gradients: Sequence[Tensor], weight: float) -> Sequence[Tensor]:
        """Average gradients over all processes. Every process gets the same bits.

        Args:
            gradients: mean gradients of this process's share of a minibatch, float32.
            weight: size of the share divided by the size of the minibatch. The weights of all processes sum to 1.
        """
        ...

    def combine(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put together values that different processes computed.

        Args:
            values: float32 [n], with 0 wherever another process computes the value.
        """
        ...


class Alone:
    """One process, which computes everything."""

    rank, size = 0, 1

    def average(self, gradients: Sequence[Tensor], weight: float) -> Sequence[Tensor]:
        """Return the gradients; see `Peers`."""
        return gradients

    def combine(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values; see `Peers`."""
        return values


class ProcessGroup:
    """The default process group of `torch.distributed`, which must be open."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(torch.distributed.get_rank())

    @property
    def size(self) -> int:
        """Number of processes."""
        return int(torch.distributed.get_world_size())

    def average(self, gradients: Sequence[Tensor], weight: float) -> Sequence[Tensor]:
        """Average gradients in one message; see `Peers`."""
        whole = torch.cat([gradient.reshape(-1) for gradient in gradients]).mul_(weight)
        torch.distributed.all_reduce(whole)
        parts = torch.split(whole, [gradient.numel() for gradient in gradients])
        return [part.view(gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]

    def combine(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum the values, all but one of which are 0; see `Peers`."""
        whole = torch.from_numpy(values.copy())
        torch.distributed.all_reduce(whole)
        combined: NDArray[np.float32] = whole.numpy()
        return combined


def share_of(peers: Peers, count: int) -> slice:
    """Choose the part of `count` things that this process computes. Sizes of parts differ by one at most."""
    return slice(count * peers.rank // peers.size, count * (peers.rank + 1) // peers.size)
